# segtrain on a CPU:
#   docker build -t segtrain .
#   docker run --rm --shm-size=8g --user "$(id -u):$(id -g)" -v "$PWD:/work" segtrain train data.root=photos
# On NVIDIA GPUs, with the wheels of PyPI, which bring CUDA along:
#   docker build -t segtrain --build-arg TORCH=https://pypi.org/simple .
#   docker run --gpus all ...
FROM python:3.12-slim
ARG TORCH=https://download.pytorch.org/whl/cpu
# train.compile needs a compiler.
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir --index-url "$TORCH" "torch>=2.11" "torchvision>=0.26"
COPY pyproject.toml README.md LICENSE /segtrain/
COPY conf /segtrain/conf
COPY segtrain /segtrain/segtrain
RUN pip install --no-cache-dir "/segtrain[tiff,video,timm,smp,export,search]"
ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["python", "-m", "segtrain"]
