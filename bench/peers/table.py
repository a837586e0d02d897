# table.py PEERS.tsv DOC.md: puts what `make bench-peers` measured into the document, between the lines
#   <!-- peers: begin --> and <!-- peers: end -->. Nothing else of the document changes.
import sys

BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"


def read(path):
    rows, facts, pairs, header = [], [], [], None
    for line in open(path):
        f = line.rstrip("\n").split("\t")
        if f[0] == "# pair":
            pairs.append(f[1:])
        elif line.startswith("#"):
            facts.append(f)
        elif header is None:
            header = f
        else:
            rows.append(dict(zip(header, f)))
    return rows, facts, pairs


def fact(facts, name):
    return [f for f in facts if f[0] == "# " + name]


def table(rows, facts, pairs):
    out = ["| layer | shape | ours | ms | best peer | its way | ms | times faster: median; mean [95 %] | aim |", "|---|---|---|---|---|---|---|---|---|"]
    for r in rows:
        if r["best"] != "yes":
            continue
        met = next((m for m in rows if m["aim's peer"] == "yes" and all(m[k] == r[k] for k in ("name", "B", "T", "D"))), r)
        reached = "" if float(met["ratio median"]) >= float(r["aim"]) else " (not reached)"
        if met is not r:                     # the aim was set against other peers
            reached = f"; set against {met['peer'].split()[0]}: {met['ratio median']}{reached}"
        setting = "" if r["peer's setting"] == "-" else ", " + r["peer's setting"]
        out.append(f"| {r['name']} | {r['B']}x{r['T']}x{r['D']} | {r['implementation']} | {r['ours ms']} | {r['peer']} | "
                   f"{r['peer' + chr(39) + 's way']}{setting} | {r['peer ms']} | {r['ratio median']}; {r['ratio']} [{r['low']}, {r['high']}] | "
                   f"{r['aim']}{reached} |")
    out.append("")
    for f in fact(facts, "geometric mean"):
        out += [f"Geometric mean of the layers: {f[1]} [{f[2]}, {f[3]}], {f[4]}.", ""]
    others = [r for r in rows if r["best"] == "no"]
    if others:
        out += ["The other peers, in the same rounds:", "", "| layer | shape | peer | ms | ours faster by |", "|---|---|---|---|---|"]
        out += [f"| {r['name']} | {r['B']}x{r['T']}x{r['D']} | {r['peer']} | {r['peer ms']} | {r['ratio']} [{r['low']}, {r['high']}] |"
                for r in others]
        out.append("")
    if len(pairs) > 1:
        out += ["Two one-thread processes side by side, training steps a second of both together:", "",
                "| model | one of ours | two of ours | two over one | best peer | two of its | ours faster by |", "|---|---|---|---|---|---|---|"]
        out += [f"| {p[0]} | {p[1]} | {p[2]} | {p[3]} | {p[4]} | {p[5]} | {p[6]} [{p[7]}, {p[8]}] |" for p in pairs[1:]]
        out.append("")
    notes = [name + ": " + " ".join(f[1:]) for name in ("threads", "peak", "load") for f in fact(facts, name)]
    notes += ["skipped: " + " ".join(f[1:]) for f in fact(facts, "peer skipped") + fact(facts, "skipped") + fact(facts, "missing")]
    notes += ["peer: " + "; ".join(f[1:]) for f in fact(facts, "peer")]
    return "\n".join(out + ["- " + n for n in notes]) + "\n"


def main():
    tsv, doc = sys.argv[1:3]
    text = open(doc).read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"{doc}: the lines '{BEGIN}' and '{END}' are not there once each")
    head, rest = text.split(BEGIN)
    with open(doc, "w") as f:
        f.write(head + BEGIN + "\n\n" + table(*read(tsv)) + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
