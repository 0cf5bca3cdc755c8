# Where builds of the lab are kept; read by build.sh and run.sh, with `lab` set to this folder.
# shellcheck shell=bash

cache=${ZATLAS_LAB_CACHE:-${XDG_CACHE_HOME:-~/.cache}/zatlas-lab}
recipe=$cache/$(cd "$lab" && find build.sh init self-check.sh etc -type f | sort | xargs sha256sum | sha256sum | cut -c 1-12)
