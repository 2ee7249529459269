"""The words of a tiny training."""

# As small as it gets: a network of 20 k parameters on shapes of 32 x 32, eight steps.
TINY = [
    "model=fcn_tiny",
    "model.encoder.widths=[8,8,16,16]",
    "model.encoder.depths=[1,1,1,1]",
    "model.encoder.stem_width=8",
    "model.widths=[8,8,8,8]",
    "data.size=[32,32]",
    "data.crop=[32,32]",
    "data.train=12",
    "data.val=3",
    "data.test=3",
    "data.batch_size=4",
    "train.steps=8",
    "train.validate_epochs=1",
    "train.log_steps=2",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
]
