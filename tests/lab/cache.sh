# Where builds of the lab are kept, by the recipe that made them; read by build.sh and run.sh, with `lab` set to this
# folder. What run.sh adds at each start (init, etc) is no part of the recipe.
# shellcheck shell=bash

cache=${ZATLAS_LAB_CACHE:-${XDG_CACHE_HOME:-~/.cache}/zatlas-lab}
recipe=$cache/$(sha256sum <"$lab/build.sh" | cut -c 1-12)
