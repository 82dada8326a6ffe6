"""Load by wrk, and the table of what came of it."""
import pathlib
import re
import statistics
import subprocess


class Load:
    """Requests that wrk repeats in turn, made once before it starts: (method, path, body)."""

    def __init__(self, folder: pathlib.Path, name: str, requests, headers=None):
        self.script = folder / f"{name}.lua"
        lines = ["local r = {}", "init = function(args)"]
        for method, path, body in requests:
            body_text = "nil" if body is None else "[==[" + body + "]==]"
            lines.append(f'  r[#r+1] = wrk.format("{method}", "{path}", nil, {body_text})')
        lines += ["  math.randomseed(os.time())", "end", "local i = 0", "request = function()",
                  "  i = i % #r + 1", "  return r[i]", "end",
                  "done = function(summary, latency, requests)",
                  '  io.write(string.format("BAD %d\\n", summary.errors.status + '
                  "summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))",
                  '  io.write(string.format("P99 %.0f\\n", latency:percentile(99)))', "end"]
        for name_, value in (headers or {}).items():
            lines.insert(0, f'wrk.headers["{name_}"] = "{value}"')
        self.script.write_text("\n".join(lines))

    def run(self, port: int, connections: int, seconds: int) -> float:
        out = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", self.script,
             f"http://127.0.0.1:{port}/"], check=True, capture_output=True, text=True).stdout
        bad = int(re.search(r"^BAD (\d+)", out, re.M).group(1))
        if bad:
            print(f"    note: {bad} requests to port {port} were not answered well")
        return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))


def interleaved(rounds: int, subjects: dict) -> dict:
    """name → figures of each round; every round runs all of them, so that noise falls on all."""
    figures = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, measure in subjects.items():
            figures[name].append(measure())
    return figures


def report(title: str, unit: str, figures: dict, wanted: dict) -> None:
    """The first of `figures` is ours; `wanted` is the ratio to each peer that the design asks for."""
    medians = {name: statistics.median(values) for name, values in figures.items()}
    ours_name, ours = next(iter(medians.items()))
    print(f"\n{title}")
    for name, median in medians.items():
        spread = f"{min(figures[name]):,.0f}–{max(figures[name]):,.0f}"
        line = f"  {name:<34} {median:>12,.0f} {unit}  ({spread})"
        if name != ours_name and median > 0:
            # Of each round's own ratio, since the rounds are what shares the noise.
            ratios = [a / b for a, b in zip(figures[ours_name], figures[name]) if b > 0]
            line += f"   {ours_name} is {statistics.median(ratios):.2f} ×"
            if name in wanted:
                line += f" (at least {wanted[name]} wanted)"
        print(line, flush=True)
