# run.py: Assay and its peers, alternating in one run. See bench/peers.sh, which starts it, for the settings.
#
# Every program is a process that stays and measures when it is told to, so nothing is started inside a round. First
# every way of writing a layer is tried in every setting of every peer, and the fastest of each peer is kept; then come
# the rounds, each in an order drawn anew, each with our time and the peers' right beside it. What counts is the ratio
# within a round; its spread over the rounds is the interval.
import argparse
import itertools
import math
import os
import random
import shlex
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
T_975 = [math.nan, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
         2.131, 2.120, 2.110, 2.101, 2.093, 2.086]


class Worker:
    """A process that answers one line to each line."""

    def __init__(self, name, command, env):
        self.name, self.alive, self.limits = name, True, False
        self.process = subprocess.Popen(command, env={**os.environ, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)

    def send(self, *fields):
        try:
            self.process.stdin.write("\t".join(str(f) for f in fields) + "\n")
            self.process.stdin.flush()
        except OSError:
            self.alive = False

    def receive(self):
        line = self.process.stdout.readline() if self.alive else ""
        if not line:
            self.alive = False
            return ["no", "the process has ended"]
        return line.rstrip("\n").split("\t")

    def ask(self, *fields):
        self.send(*fields)
        return self.receive()

    def close(self):
        try:
            self.process.stdin.close()
        except OSError:
            pass
        self.process.wait()


def core_type():
    try:
        with open("/proc/cpuinfo") as f:
            flags = f.read()
    except OSError:
        return None
    return "SKYLAKEX" if "avx512f" in flags else "HASWELL" if "avx2" in flags else None


class Peers:
    """The programs to compare with: each PyTorch in each setting, and oneDNN."""

    def __init__(self, args, threads):
        with_source = "".join(open(os.path.join(HERE, f)).read() for f in ("layers.py", "model.py", "worker.py"))
        self.workers, self.skipped = {}, []
        core = {"OPENBLAS_CORETYPE": core_type()} if core_type() else {}
        # PyTorch asks for large arrays and gives them back in every step; glibc would hand each back to the system.
        keep = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000"}
        for command in args.python:
            for blas in sorted({1, threads}):
                env = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(blas), **core, **keep}
                worker = Worker("", shlex.split(command) + ["-c", with_source], env)
                facts = worker.ask("facts")
                if facts[0] != "ok":
                    self.skipped.append(f"{command}: {facts[-1] if worker.alive else 'no PyTorch'}")
                    worker.close()
                    break
                worker.name, worker.limits = facts[1], True
                self.workers.setdefault(facts[1], []).append((f"OPENBLAS_NUM_THREADS={blas}", worker))
        if args.onednn and os.access(args.onednn, os.X_OK):
            worker = Worker("oneDNN", [args.onednn], {"OMP_NUM_THREADS": str(threads)})
            facts = worker.ask("facts")
            if facts[0] == "ok":
                self.workers[facts[1]] = [("-", worker)]
            else:
                self.skipped.append("oneDNN: " + facts[-1])
        else:
            self.skipped.append("oneDNN: its program was not built (libdnnl-dev)")

    def best(self, peer, name, shape, seconds, log):
        """The fastest way and setting of one peer: (ms, setting, way, worker), or None."""
        found = []
        for setting, worker in self.workers[peer]:
            if not worker.alive:
                continue
            for way in worker.ask("forms", name)[1:]:
                best = min((f[0] for f in found), default=math.inf)
                got = worker.ask("measure", name, way, shape, seconds, *([best] if found and worker.limits else []))
                log(f"# tried\t{peer}\t{setting}\t{name}\t{shape}\t{way}\t{got[1]}")
                if got[0] == "ok":
                    found.append((float(got[1]), setting, way, worker))
        found = sorted(found, key=lambda f: f[0])[:3]       # again: what disturbed the first try must not choose
        for i, (ms, setting, way, worker) in enumerate(found):
            got = worker.ask("measure", name, way, shape, seconds)
            log(f"# tried again\t{peer}\t{setting}\t{name}\t{shape}\t{way}\t{got[1]}")
            if got[0] == "ok":
                found[i] = (min(ms, float(got[1])), setting, way, worker)
        return min(found, key=lambda f: f[0]) if found else None

    def close(self):
        for _, worker in itertools.chain(*self.workers.values()):
            worker.close()


def interval(logs):
    """Mean and 95 % interval of logarithms, as factors."""
    n, mean = len(logs), statistics.fmean(logs)
    if n < 2:
        return math.exp(mean), math.nan, math.nan
    t = T_975[n - 1] if n - 1 < len(T_975) else 1.96 + 2.4 / (n - 1)
    half = t * statistics.stdev(logs) / math.sqrt(n)
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def ours(row, shape):
    return "measure", row["name"], row["layer"], row["scope"], row["set"], shape


def read_table(path, only):
    rows = []
    for line in open(path):
        if line.startswith("#") or not line.strip():
            continue
        f = line.rstrip("\n").split("\t")
        if only and f[0] not in only:
            continue
        for shape in f[4].split():
            rows.append({"name": f[0], "layer": f[1], "scope": f[2], "set": f[3], "shape": shape, "aim": float(f[5]), "peer": f[6],
                         "against": f[7] if len(f) > 7 else ""})
    return rows


def choose(items, peers, us, args, log):
    """What can be compared: leaves out, by name, what we or every peer cannot do."""
    kept = []
    for row in items:
        got = us.ask(*ours(row, row["shape"]), args.seconds / 4)
        if got[0] != "ok":
            log(f"# skipped\t{row['name']}\t{row['shape']}\t{got[1]}")
            continue
        row["impl"] = got[5]
        row["found"] = {p: peers.best(p, row["peer"], row["shape"], args.seconds / 4, log) for p in peers.workers}
        row["found"] = {p: f for p, f in row["found"].items() if f}
        if not row["found"]:
            log(f"# skipped\t{row['name']}\t{row['shape']}\tno peer has it")
            continue
        row["ours"], row["theirs"], row["peaks"] = [], {p: [] for p in row["found"]}, []
        kept.append(row)
    return kept


def one_round(row, us, args, draw):
    """Our time and each peer's, in an order drawn anew."""
    times = {}
    for who in draw.sample([None, *row["found"]], 1 + len(row["found"])):
        if who is None:
            got = us.ask(*ours(row, row["shape"]), args.seconds)
        else:
            _, _, way, worker = row["found"][who]
            got = worker.ask("measure", row["peer"], way, row["shape"], args.seconds)
        if got[0] != "ok":
            return f"{who or 'assay'}: {got[1]}"
        times[who] = float(got[1])
        if who is None:
            row["peaks"].append(float(got[7]))
    row["ours"].append(times.pop(None))
    for who, ms in times.items():
        row["theirs"][who].append(ms)
    return None


def report(kept, out):
    print("name", "B", "T", "D", "implementation", "ours ms", "peer", "peer's way", "peer's setting", "peer ms", "ratio", "low", "high",
          "ratio median", "rounds", "aim", "best", "aim's peer", sep="\t", file=out)
    # By round: against the best peer of each line, the best of those that its aim was set against, and the best PyTorch.
    geometric, aimed, torch = {}, {}, {}
    for row in kept:
        best, against, pytorch = (min((p for p in row["theirs"] if p.startswith(start)), default=None,
                                      key=lambda p: statistics.median(row["theirs"][p]))
                                  for start in ("", row["against"], "PyTorch"))
        for peer, times in row["theirs"].items():
            logs = [math.log(t / o) for t, o in zip(times, row["ours"])]
            mean, low, high = interval(logs)
            _, setting, way, _ = row["found"][peer]
            print(row["name"], *row["shape"].split("x"), row["impl"], f"{statistics.median(row['ours']):.4g}", peer, way, setting,
                  f"{statistics.median(times):.4g}", f"{mean:.3f}", f"{low:.3f}", f"{high:.3f}",
                  f"{math.exp(statistics.median(logs)):.3f}", len(logs), f"{row['aim']:g}", "yes" if peer == best else "no",
                  "yes" if peer == against else "no", sep="\t", file=out)
            for chosen, by_round in ((best, geometric), (against, aimed), (pytorch, torch)):
                for k, value in enumerate(logs if peer == chosen and row["scope"] != "model" else []):
                    by_round.setdefault(k, []).append(value)
    for what, by_round in (("against the best peer of each", geometric),
                           ("each against the best of the peers that its aim was set against", aimed),
                           ("against the best PyTorch of each", torch)):
        whole = [statistics.fmean(v) for v in by_round.values() if len(v) == max(map(len, by_round.values()))]
        if whole:
            mean, low, high = interval(whole)
            print(f"# geometric mean\t{mean:.3f}\t{low:.3f}\t{high:.3f}\tover {len(by_round[0])} lines, {what}, {len(whole)} rounds",
                  file=out)


def pair(first, second, request):
    """Two processes at once: runs a second of both together, or None."""
    first.send(*request)
    second.send(*request)
    answers = first.receive(), second.receive()
    return sum(1e3 / float(a[1]) for a in answers) if all(a[0] == "ok" for a in answers) else None


def side_by_side(kept, args, draw, log, out):
    """Training steps a second of two one-thread processes at once, ours and the best peer's; and of one of ours."""
    rows = [r for r in kept if r["scope"] == "model"]
    if not rows:
        return
    us = [Worker("assay", [args.assay, "bench", "--serve", "--threads", "1"], {}) for _ in range(2)]
    them = [Peers(argparse.Namespace(python=args.python, onednn=None), 1) for _ in range(2)]
    print("# side by side: steps a second, one thread a process", file=out)
    print("# pair", "name", "one of ours", "two of ours", "two over one", "peer", "two of the peer's", "ratio", "low", "high", sep="\t", file=out)
    for row in rows:
        found = {}
        for peer in them[0].workers:
            best = them[0].best(peer, row["peer"], row["shape"], args.seconds / 4, log)
            if best:
                found[peer] = best
        if not found:
            continue
        peer = min(found, key=lambda p: found[p][0])
        request = "measure", row["peer"], found[peer][2], row["shape"], args.seconds
        one, two, other = [], [], []
        for _ in range(args.rounds):
            for what in draw.sample(["one", "two", "other"], 3):
                if what == "one":
                    got = us[0].ask(*ours(row, row["shape"]), args.seconds)
                    one.append(1e3 / float(got[1]) if got[0] == "ok" else None)
                elif what == "two":
                    two.append(pair(us[0], us[1], (*ours(row, row["shape"]), args.seconds)))
                else:
                    other.append(pair(them[0].workers[peer][0][1], them[1].workers[peer][0][1], request))
        if None in one + two + other:
            log(f"# skipped\t{row['name']}\tside by side: a process could not measure it")
            continue
        mean, low, high = interval([math.log(a / b) for a, b in zip(two, other)])
        print("# pair", row["name"], f"{statistics.median(one):.4g}", f"{statistics.median(two):.4g}",
              f"{statistics.median([a / b for a, b in zip(two, one)]):.3f}", peer, f"{statistics.median(other):.4g}",
              f"{mean:.3f}", f"{low:.3f}", f"{high:.3f}", sep="\t", file=out)
    for worker in us:
        worker.close()
    for peers in them:
        peers.close()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--assay", required=True)
    p.add_argument("--onednn")
    p.add_argument("--table", default=os.path.join(HERE, "..", "table.tsv"))
    p.add_argument("--python", action="append", default=[])
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--seconds", type=float, default=0.6)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only", action="append", default=[])
    p.add_argument("--no-pairs", action="store_true")
    p.add_argument("--out", required=True)
    args = p.parse_args()
    draw = random.Random(args.seed)

    with open(args.out + ".new", "w") as out:
        def log(line):
            print(line, file=out, flush=True)
            if not line.startswith("# tried"):
                print(line, file=sys.stderr, flush=True)

        us = Worker("assay", [args.assay, "bench", "--serve", "--threads", str(args.threads)], {})
        peers = Peers(args, args.threads)
        log(f"# threads\t{args.threads}\trounds {args.rounds}\tat least {args.seconds} s a measurement\tseed {args.seed}")
        log("# load\t" + " ".join(open("/proc/loadavg").read().split()[:3]) if os.path.exists("/proc/loadavg") else "# load\tunknown")
        for name, workers in peers.workers.items():
            log("\t".join(["# peer", name] + [w.ask("facts")[-1] + " " + s for s, w in workers]))
        for why in peers.skipped:
            log(f"# peer skipped\t{why}")
        kept = choose(read_table(args.table, args.only), peers, us, args, log)
        for k in range(args.rounds):
            print(f"round {k + 1} of {args.rounds}", file=sys.stderr, flush=True)
            for row in draw.sample(kept, len(kept)):
                why = one_round(row, us, args, draw)
                if why:
                    log(f"# missing\t{row['name']}\t{row['shape']}\tround {k + 1}\t{why}")
        kept = [r for r in kept if r["ours"]]
        peaks = sorted(p for r in kept for p in r["peaks"])
        if peaks:
            log(f"# peak\t{peaks[len(peaks) // 2] / 1e9:.4g}\tGFLOP/s, median; least {peaks[0] / 1e9:.4g}, most {peaks[-1] / 1e9:.4g}")
        report(kept, out)
        us.close()
        peers.close()
        if not args.no_pairs:
            side_by_side(kept, args, draw, log, out)
    os.replace(args.out + ".new", args.out)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
