# Sourced by run and test. `environment [EXTRA]` makes .venv in this clone and installs segtrain into it, editable, with
# the dependencies of an extra of pyproject.toml. It sets `root` and `python`; where all is done it returns at once.

root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
venv=$root/.venv
python=$venv/bin/python
log=$venv/install.log

fail() {
    echo "scripts/${0##*/}: $*" >&2
    exit 1
}

environment() {
    local extra=${1:-} name stamp done_for
    stamp=$venv/installed${extra:+-$extra}
    done_for="$root"$'\n'"$(cat "$root/pyproject.toml")"  # what an install depends on: a moved clone needs a new one
    if [[ -x $python && -f $stamp && $(cat "$stamp") == "$done_for" ]]; then return; fi

    echo "Installing segtrain${extra:+ for $extra} into $venv; the first time takes minutes and up to 6 GB" >&2
    [[ -x $python ]] || rm -rf "$venv"  # its Python is gone
    mkdir -p "$venv"
    rm -f "$venv"/installed*  # until the end of this install nothing is certain
    if command -v uv >/dev/null; then
        export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS-1}  # trust whom the machine trusts, as pip does
        [[ -x $python ]] || logged uv venv --allow-existing --python '>=3.11' "$venv"
        logged uv pip install --python "$python" --editable "$root${extra:+[$extra]}"
    else
        if ! "$python" -m pip --version >/dev/null 2>&1; then
            name=$(find_python)
            logged "$name" -m venv "$venv"
        fi
        logged "$python" -m pip install --editable "$root${extra:+[$extra]}"
    fi
    echo "$done_for" >"$venv/installed"
    echo "$done_for" >"$stamp"
}

# A command whose words go to the log. The screen gets what it downloads and, if it fails, its last error.
logged() {
    local shown='s/^ *\(Downloading .*\)/  \1/p; s/^Installing collected.*/  Unpacking/p'
    if ! PYTHONUNBUFFERED=1 "$@" 2>&1 | tee "$log" | sed -nu "$shown" >&2; then
        fail "$(grep -iE '(error|cause): |╰─▶' "$log" | grep -v subprocess-exited | tail -n 1 | sed 's/^[^[:alpha:]]*//'); see $log"
    fi
}

find_python() {
    local name found=''
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        found=$name
        if "$name" -c 'import ensurepip, venv' 2>/dev/null; then echo "$name" && return; fi
    done
    local lacking="no Python >= 3.11 here ($(python3 --version 2>/dev/null || echo "no python3")): install one"
    [[ $found ]] && lacking="$found makes no virtual environment: apt install $found-venv (Debian, Ubuntu)"
    fail "$lacking, or install uv (https://docs.astral.sh/uv)"
}
