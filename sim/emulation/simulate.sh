#!/bin/sh
# libxrt forks, changes into this file's directory and starts it with one string of arguments for a
# simulator of Vivado (ignored). The model is not exec'ed: when it dies in the middle of a call,
# stock libxrt reads the closed socket for ever, so its process is ended here, with a word about
# why.
"${SALINE_EMULATION_MODEL:?}" 2>"model.$PPID.log" && exit 0
status=$?
echo "emulation: the card model ended with status $status; ending its host, process $PPID" >&2
cat "model.$PPID.log" >&2
# Only while it still is our parent: its number may be another's by now.
parent=$(cut -d ' ' -f 4 "/proc/$$/stat")
[ "$parent" = "$PPID" ] && kill -KILL "$PPID"
exit $status
