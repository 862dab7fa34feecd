#!/bin/sh
# compile.sh COMPILER ARGUMENT...: compiles a precompiled header OUTPUT, and leaves in OUTPUT.sum what
# ccache compares in its place (CCACHE_PCH_EXTSUM): a sum over all headers that are in it. OUTPUT
# itself holds the path of the clone, and no second clone would find what the first one compiled.
set -eu
output='' last=''
for argument; do
  [ "$last" != -o ] || output=$argument
  last=$argument
done
"$@"
tr ' \\' '\n\n' <"$output.d" | grep '^/' | xargs cat | sha256sum >"$output.sum"
