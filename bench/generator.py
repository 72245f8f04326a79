"""Runs of sqmqos-bench."""

import json
import subprocess

from chains import stack


class Generator:
    """One run at a time, ended with us."""

    def __init__(self, program):
        self.program = program
        self.child = None

    def run(self, chain, *flags, timeout_s=60):
        """Runs it on 'chain'; (JSON object or None, its last words)."""
        argv = [str(self.program), "--json", "--pub", chain.pub, *map(str, flags)]
        if "--idle" not in flags:
            argv += ["--sub", chain.sub] + (["--raw"] if chain.raw else [])
        for role, pid in chain.pids().items():
            argv += ["--pid", f"{role}={pid}"]
        self.child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True, preexec_fn=stack.in_child)
        try:
            out, err = self.child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.communicate()
            return None, "the generator did not end"
        words = err.strip().splitlines()[-1:] or [f"exit code {self.child.returncode}"]
        return (json.loads(out) if out else None), words[0]

    def stop(self):
        if self.child is not None and self.child.poll() is None:
            self.child.kill()
            self.child.wait()


def describe(result):
    """What is wrong with a run."""
    wrong = [f"{result[k]} {text}" for k, text in (
        ("lost", "not delivered"), ("reordered", "reordered"), ("refused", "refused"),
        ("unacked", "not acknowledged")) if result[k]]
    if result["qos"] == 2 and result["duplicates"]:
        wrong.append(f"{result['duplicates']} duplicated")
    return f"of {result['sent_total']} messages " + ", ".join(wrong)
