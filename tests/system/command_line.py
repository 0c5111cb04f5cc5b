"""What salined and saline say to wrong options and missing things: one sentence, a status.

usage: command_line.py BUILD
"""

import subprocess
import sys

BUILD = sys.argv[1]


def check(program, arguments, status, *words):
    answer = subprocess.run([f"{BUILD}/bin/{program}", *arguments], text=True, capture_output=True,
                            timeout=30, check=False)
    text = answer.stdout if status == 0 else answer.stderr
    lines = [line for line in text.splitlines() if line]
    held = answer.returncode == status and all(word in text for word in words) and (
        status == 0 or len(lines) == 1)
    print(f"{'ok  ' if held else 'FAIL'} {program} {' '.join(arguments)}: {answer.returncode} "
          f"{lines[:3]}", flush=True)
    return held


def main():
    held = [
        check("salined", ["--help"], 0, "--wire-port", "--socket", "--offload", "--set"),
        check("salined", ["--frobnicate"], 2, "--frobnicate", "--help"),
        check("salined", [], 2, "--wire-port"),
        check("salined", ["--wire-port"], 2, "--wire-port"),
        check("salined", ["--wire-port", "x", "--memory", "lots"], 2, "--memory", "lots"),
        check("salined", ["--wire-port", "x", "--offload", "perhaps"], 2, "perhaps"),
        check("salined", ["--wire-port", "x", "--set", "net.inet.ipsec.def_policy=7"], 1,
              "def_policy", "0 to 1"),
        check("salined", ["--wire-port", "x", "--set", "no.such=1"], 1, "no.such"),
        check("saline", ["--help"], 0, "status"),
        check("saline", ["dance"], 2, "dance"),
        check("saline", [], 2, "--help"),
        check("saline", ["--control", "/nonexistent/control", "status"], 1, "/nonexistent/control"),
    ]
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
