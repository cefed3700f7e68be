#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the ProVerif models beside it and prints one line per variant and query: what came out, whether that was expected.
Usage: check.py [-p /path/to/proverif] [-t seconds] [-o outdir] [-j jobs] [--slow] [variant ...]      (no variant: all)"""
import argparse, os, re, subprocess, sys, time, concurrent.futures as cf
HERE = os.path.dirname(os.path.abspath(__file__))

# name -> (query text, plain meaning)
DECL = "a:vkey; b:vkey; a2:vkey; b2:vkey; t:bitstring; t2:bitstring; e:bitstring; e2:bitstring; m:bitstring; k:bitstring; x:bitstring; y:bitstring; v:bitstring; w:bitstring; n:bitstring; p:bitstring"
Q = {
 # secrecy; the only permitted excuse is a leak of the PEER's key before phase 1 (so: PFS and KCI included)
 "sec-IR":  ("attacker(mIR(a,b,t)) ==> event(Leak0(b))", "secrecy of I's payload to R (forward secrecy; I's own key may leak)"),
 "sec-RI":  ("attacker(mRI(b,a,t)) ==> event(Leak0(a))", "secrecy of R's payload to I (forward secrecy; R's own key may leak)"),
 "auth-R":  ("inj-event(IAccR(b,t)) ==> inj-event(RSend(b,t)) || event(Leak0(b))", "HS_RESP: injective agreement on T4"),
 "auth-I":  ("inj-event(RAcc(b,a,t,e)) ==> inj-event(ISend(a,b,t,e)) || event(Leak0(a))", "HS_AUTH: injective agreement on pkI, pkR, T7, ES0 (R's key may leak: KCI)"),
 "pkt-RI":  ("inj-event(IGot(a,b,e,m)) ==> (inj-event(RPkt(b,a,e,m)) && inj-event(RAcc(b,a,t,e))) || event(Leak0(b))", "first packet R->I: injective, and R has accepted I (I's key may leak: KCI)"),
 "pkt-RI0": ("inj-event(IGot(a,b,e,m)) ==> inj-event(RPkt(b,a,e,m)) || event(Leak0(b))", "first packet R->I: injective agreement"),
 "pkt-IR":  ("inj-event(RGot(b,a,e,m)) ==> inj-event(IPkt(a,b,e,m)) || event(Leak0(a))", "first packet I->R: injective agreement"),
 "uks":     ("event(RAcc(b,a,t,e)) && event(ISend(a2,b2,t2,e)) ==> a=a2 && b=b2 && t=t2", "no unknown key share, even with dishonest peers"),
 "uks-RR":  ("event(RAcc(b,a,t,e)) && event(RAcc(b2,a2,t2,e)) ==> a=a2 && b=b2 && t=t2", "one ES0, one responder session"),
 "nonce":   ("event(Sealed(k,x,y)) && event(Sealed(k,v,w)) ==> x=v && y=w", "no handshake AEAD key+nonce seals two plaintexts"),
 "live-I":  ("event(EndI)", "I can finish (must be reachable)"),
 "live-R":  ("event(EndR)", "R can finish (must be reachable)"),
 # ANON
 "an-auth": ("inj-event(AAccR(b,t,e)) ==> inj-event(RAnon(b,t,e)) || event(Leak0(b))", "ANON: client authenticates R, injective on T7, ES0"),
 "an-sec":  ("attacker(mAR(b,t)) ==> event(Leak0(b))", "ANON: secrecy client->R, forward secrecy"),
 "an-pkt":  ("inj-event(AGot(b,e,m)) ==> inj-event(RAPkt(b,e,m)) || event(Leak0(b))", "ANON: packets R->client authentic"),
 "an-secR": ("attacker(mRA(b,t)) ==> event(Leak0(b))", "ANON: secrecy R->whoever (must FAIL: client is unauthenticated)"),
 "an-authC":("event(RAGot(b,e,m)) ==> event(APkt(b,e,m))", "ANON: R knows the client is honest (must FAIL)"),
 "an-cross":("event(RAnon(b,t,e)) && event(ISend(a2,b2,t2,e)) ==> false", "an ANON secret is never a full session's ES0"),
 "an-crossR":("event(RAcc(b,a,t,e)) && event(AAccR(b2,t2,e)) ==> false", "a full session's ES0 is never an ANON secret"),
 "live-A":  ("event(EndA)", "ANON client can finish (must be reachable)"),
 # version
 "ver-I":   ("event(IV(b,t,V1,V2)) && event(RVm(b,t,V2)) ==> false", "I never accepts V1 when both really support V2"),
 "ver-R":   ("event(RV(a,t,V1,V2)) && event(IVm(a,t,V2)) ==> false", "R never accepts V1 when both really support V2"),
 "ver-IR":  ("event(IV(b,t,V1,V2)) && event(RVm(b,t,V1)) ==> false", "V1 is used when R only has V1 (must be reachable)"),
 "auth-In": ("event(RAcc(b,a,t,e)) ==> event(ISend(a,b,t,e)) || event(Leak0(a))", "HS_AUTH: non-injective agreement"),
 # rekey
 "rk-0":    ("attacker(p0(t))", "rekey: secrecy of payload of epoch 0"),
 "rk-1":    ("attacker(p1(t))", "rekey: secrecy of payload of epoch 1"),
 "rk-2":    ("attacker(p2(t))", "rekey: secrecy of payload of epoch 2"),
 "rk-auth": ("inj-event(R2(t,e)) ==> inj-event(I2(t,e))", "rekey: injective agreement on ES2"),
}
CORE = ["sec-IR","sec-RI","auth-R","auth-I","pkt-RI","pkt-IR","uks","uks-RR","nonce","live-I","live-R"]
T, F = True, False
def ex(names, bad=(), live=("live-I","live-R","live-A","ver-IR")):
    return {n: (n not in bad and n not in live) for n in names}
V = {
 # ---- the design
 "spec":        ([], ex(CORE)),
 "anon":        (["ANON"], ex(["sec-IR","uks","an-auth","an-sec","an-pkt","an-secR","an-authC","an-cross","an-crossR","live-A"], bad=("an-secR","an-authC"))),
 "verneg":      (["VERNEG"], ex(["ver-I","ver-R","ver-IR"])),
 "rekey":                  (["RK"], ex(["rk-0","rk-1","rk-2","rk-auth","live-I","live-R"])),
 "rekey-es0-leaked-later": (["RK","LEAK0_LATER"], ex(["rk-0","rk-1","rk-2"], bad=("rk-0",))),   # passive healing
 "rekey-es1-leaked-later": (["RK","LEAK1_LATER"], ex(["rk-0","rk-1","rk-2"], bad=("rk-1",))),   # old epochs stay secret
 "rekey-es2-leaked-later": (["RK","LEAK2_LATER"], ex(["rk-0","rk-1","rk-2"], bad=("rk-2",))),
 "rekey-es0-leaked-active":(["RK","LEAK0_BEFORE"], ex(["rk-1","rk-2"], bad=("rk-1","rk-2"))),  # no healing against an active attacker
 "eph-I-leaked":(["EPHI"], ex(["sec-IR","auth-R","auth-In","uks"], bad=("sec-IR",))),
 "eph-R-leaked":(["EPHR"], ex(["sec-RI","auth-R","auth-In","uks"], bad=("sec-RI",))),
 "multi-resp":  (["MULTIRESP"], ex(["sec-IR","auth-R","auth-In","uks","nonce"], bad=("nonce",))),
 "weak-neg":    (["W_NEG"], ex(["sec-IR","sec-RI","auth-R","uks"])),       # x-only ECDH: -E gives the same secret
 "weak-sig":    (["W_SIG"], ex(["sec-IR","auth-R","uks"])),       # malleable signatures, duplicate-key selection
 # ---- broken on purpose
 "B-sig-eph-only":   (["B_SIGEPH","B_NOMAC","B_NOENC","B_ESNOT7","B_KEYNOTRANSCRIPT"], ex(["auth-R","uks"], bad=("auth-R","uks"))),
 "B-sts-no-id":      (["B_NOID","B_NOENC","B_NOMAC","B_ESNOT7"], ex(["uks"], bad=("uks",))),
 "B-no-id-dsks":     (["B_NOID","B_NOENC","B_NOMAC","W_SIG"], ex(["uks"], bad=("uks",))),
 "B-id-dsks":        (["B_NOENC","B_NOMAC","W_SIG"], ex(["uks"])),         # the same, but identities in the transcript: safe again
 "B-sig-eph-ephleak":(["B_SIGEPH","EPHI"], ex(["auth-In"], bad=("auth-In",))),
 # one layer removed, the others still hold (defence in depth)
 "B-sig-eph-keep-mac":(["B_SIGEPH"], ex(["auth-R","auth-I","uks","sec-IR"])),
 "B-no-id":          (["B_NOID"], ex(["auth-R","auth-I","uks"])),
 "B-no-mac":         (["B_NOMAC"], ex(["sec-IR","auth-R","auth-I","uks","pkt-IR"])),
 "B-no-sig-I":       (["B_NOSIGI"], ex(["sec-RI","auth-I","pkt-IR"], bad=("sec-RI","auth-I","pkt-IR"))),
 "B-no-role":        (["B_NOROLE"], ex(["auth-R","auth-I","uks"])),
 "B-es-not-t7":      (["B_ESNOT7"], ex(["auth-I","uks"])),
 "B-no-enc":         (["B_NOENC"], ex(["sec-IR","uks"])),
 "B-no-ver-check":   (["VERNEG","B_NOVERCHECK"], ex(["ver-I","ver-R"], bad=("ver-I","ver-R"))),
 "B-rekey-no-dh":    (["RK","B_NODH","LEAK0_LATER"], ex(["rk-1"], bad=("rk-1",))),
 "B-rekey-no-salt":  (["RK","B_NOSALT"], ex(["rk-1","rk-auth"])),          # AEAD under ES0 alone already authenticates
 "B-rekey-plain":    (["RK","B_NOSALT","B_PLAIN"], ex(["rk-1"], bad=("rk-1",))),
 "B-reseal":         (["B_RESEAL"], ex(["auth-R","nonce"], bad=("nonce",))),
}

def hon(q):
    # the peer named in the excuse Leak0(.) must be an honest key: vk(hsk(n)), hsk private, n public
    for v, n in (("a", "n"), ("b", "p")):
        if f"Leak0({v})" in q: q = re.sub(rf"(?<=[(,]){v}(?=[,)])", f"vk(hsk({n}))", q)
    return q

# no answer within 100-130 s (ProVerif 2.04): nothing is claimed; only run with --slow
SLOW = {("spec","nonce"), ("eph-I-leaked","auth-In"), ("eph-R-leaked","auth-In"), ("eph-R-leaked","auth-R"), ("multi-resp","auth-In"), ("B-sig-eph-ephleak","auth-In")}

def pre(text, defs):
    out, st = [], [True]
    for ln in text.splitlines():
        s = ln.strip()
        if s.startswith("#ifdef "):  st.append(s.split()[1] in defs)
        elif s.startswith("#ifndef "): st.append(s.split()[1] not in defs)
        elif s == "#else": st[-1] = not st[-1]
        elif s == "#endif": st.pop()
        elif all(st): out.append(ln)
    assert len(st) == 1
    return "\n".join(out)

def one(var, name, args):
    defs, exp = V[var]
    f = os.path.join(args.o, f"{var}.{name}.pv")
    if name == "nonce" and not set(defs) & {"B_RESEAL", "MULTIRESP"}: defs = defs + ["PRECISE"]
    src = pre(open(os.path.join(HERE, "rekey.pvt" if "RK" in defs else "handshake.pvt")).read(), defs)
    open(f, "w").write(src.replace("(*QUERIES*)", "query " + DECL.replace(";",",") + ";\n  " + hon(Q[name][0]) + "."))
    t0 = time.time()
    try:
        p = subprocess.run([args.p, f], capture_output=True, text=True, timeout=args.t)
        log = p.stdout + p.stderr
    except subprocess.TimeoutExpired as e:
        log = (e.stdout or b"").decode(errors="replace") + "\nTIMEOUT"
    open(f[:-3] + ".log", "w").write(log)
    m = re.findall(r"^RESULT .*?(is true|is false|cannot be proved)", log, re.M | re.S)
    r = m[-1] if m else ("timeout" if "TIMEOUT" in log else "error")
    res = {"is true": "holds", "is false": "ATTACK", "cannot be proved": "unproved"}.get(r, r)
    return var, name, res, exp[name], time.time() - t0

def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("-p", default="proverif"); ap.add_argument("-t", type=float, default=240)
    ap.add_argument("-o", default="formal-out"); ap.add_argument("-j", type=int, default=2)
    ap.add_argument("--slow", action="store_true")
    ap.add_argument("variants", nargs="*")
    a = ap.parse_args(); os.makedirs(a.o, exist_ok=True)
    jobs = [(v, q) for v in (a.variants or V) for q in V[v][1] if a.slow or (v, q) not in SLOW]
    bad = 0
    with cf.ThreadPoolExecutor(a.j) as pool:
        for var, name, res, want, dt in pool.map(lambda j: one(j[0], j[1], a), jobs):
            reach = name.startswith("live") or name == "ver-IR"
            ok = (res == "holds") == want and res in ("holds", "ATTACK")
            bad += not ok
            shown = {"ATTACK": "reachable", "holds": "UNREACHABLE"}.get(res, res) if reach else res
            print(f"{var:24} {name:9} {shown:11} {'ok' if ok else 'UNEXPECTED':10} {dt:6.1f}s  {Q[name][1]}", flush=True)
    print("unexpected:", bad); sys.exit(bad != 0)
main()
