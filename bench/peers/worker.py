# worker.py: one PyTorch with one set of settings, measuring what it is asked for. Requests and answers are lines of
# fields parted by tabs: `facts`; `forms NAME`; `measure NAME FORM BxTxD SECONDS [BEST MS SO FAR]` -> `ok MS LOWER UPPER
# REPEATS` or `no WHY`; what is hopelessly slower than the best so far is not measured on.
# Needs layers.py and model.py before it. What is warm stays warm between requests.
import os
import sys
import time

READY = {}


def measure(name, way, shape, seconds, best=math.inf):
    key = name, way, shape
    if key not in READY:
        READY.clear()                            # one layer's memory at a time
        torch.manual_seed(1)
        READY[key] = FORMS[name][way](*map(int, shape.split("x")))
    step, times = READY[key], []
    start = time.perf_counter()
    step()
    first = time.perf_counter() - start
    if 1e3 * first > 3 * best + 1000:
        return f"no\tits first step took {1e3 * first:.0f} ms, and another way takes {best:.4g}"
    if first < 2:
        step()
    start = time.perf_counter()
    while True:
        before = time.perf_counter()
        step()
        now = time.perf_counter()
        times.append(1e3 * (now - before))
        if now - start > seconds and (len(times) >= 3 or now - start > 5 * seconds + 2):
            break
    times.sort()
    n = len(times)
    return f"ok\t{times[n // 2]:.6g}\t{times[n // 4]:.6g}\t{times[3 * n // 4]:.6g}\t{n}"


def blas():
    """Which BLAS is loaded. PyTorch of a minimal Debian runs on the reference one, some 20 times slower than OpenBLAS. LAPACK
    is a library of its own and may be another's."""
    try:
        with open("/proc/self/maps") as maps:
            found = {line.split()[-1] for line in maps}
    except OSError:
        return "unknown"
    found = sorted(path for path in found if os.path.basename(path).startswith(("libblas", "libopenblas", "libmkl")))
    return found[0] if found else "built in"


def answer(request):
    if request[0] == "facts":
        library = blas()
        if "/blas/libblas.so" in library:
            return "no\tits BLAS is the reference one, which nobody would use for this (apt-get install libopenblas0)"
        return f"ok\tPyTorch {torch.__version__}\tthreads {torch.get_num_threads()}\tOPENBLAS_NUM_THREADS " \
               f"{os.environ.get('OPENBLAS_NUM_THREADS')}\tOPENBLAS_CORETYPE {os.environ.get('OPENBLAS_CORETYPE')}\t{library}"
    if request[0] == "forms":
        return "\t".join(["ok"] + sorted(FORMS.get(request[1], {})))
    return measure(request[1], request[2], request[3], *map(float, request[4:]))


torch.set_flush_denormal(True)
if os.environ.get("OMP_NUM_THREADS"):
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
for line in sys.stdin:
    try:
        print(answer(line.rstrip("\n").split("\t")), flush=True)
    except Exception as problem:                 # said to whoever asked; the next request may well work
        print("no\t" + " ".join(str(problem).split())[:300], flush=True)
