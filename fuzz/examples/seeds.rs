// SPDX-License-Identifier: GPL-3.0-or-later
//! Writes the seeds of `udp_datagram`: `cargo run --manifest-path fuzz/Cargo.toml --example seeds`. They are scripts
//! that bring about datagrams of every kind, and change, repeat or forge them.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use dvs_fuzz::script::{Op, Script, read};
use dvs_fuzz::world::World;
use dvsd::wire::control::{Frame, MediaReport, Reason};

/// How a script begins, see [`World::new`].
const ALICE_CALLED: u8 = 0;
const BOB_CALLED: u8 = 1;
const MALLORY_CALLED: u8 = 2;
const NOBODY_CALLED: u8 = 3;

/// A PATH_CHALLENGE, the shortest frame that is answered to where it came from.
const CHALLENGE: [u8; 11] = [0x82, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];

fn main() -> Result<(), Box<dyn Error>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/udp_datagram");
    std::fs::create_dir_all(&directory)?;
    let mut seeds = scripts();
    seeds.extend(genuine());
    for (name, script) in seeds {
        let (beginning, steps) = read(script.bytes());
        let mut world = World::new(beginning);
        steps.for_each(|step| world.step(&step));
        world.check();
        println!("{name}: {} bytes; Bob counted {:?}", script.bytes().len(), world.drops());
        std::fs::write(directory.join(name), script.bytes())?;
    }
    Ok(())
}

fn scripts() -> Vec<(String, Script)> {
    let talk = |script: Script| (0..5).fold(script, |script, _| script.step(Op::Speak, 0, &[]).wait(4));
    let knocked = Script::new(BOB_CALLED).step(Op::Knock, 0, &[]).wait(5).step(Op::React, 0, &[]).wait(5);
    let cookies = (1..4).fold(Script::new(ALICE_CALLED), |it, number| it.step(Op::Knock, number * 4, &[])).wait(5);
    let cookies = (0..3).fold(cookies, |it, _| it.step(Op::React, 0, &[]).wait(5));
    let dialled = Script::new(NOBODY_CALLED).step(Op::User, 1, &[]).wait(5);
    let dialled = (0..6).fold(dialled, |script, _| script.step(Op::React, 0, &[1, 60, 0, 2, 61, 0x81]).wait(5));
    let mut seeds = vec![
        ("talk", talk(Script::new(ALICE_CALLED).step(Op::Speak, 1, &[]).wait(4)).wait(10)),
        (
            "talk_with_mallory",
            (0..5).fold(Script::new(MALLORY_CALLED), |it, _| it.step(Op::Media, 7, &[0x78; 80]).wait(4)),
        ),
        ("idle_to_the_end", Script::new(NOBODY_CALLED).step(Op::Knock, 0, &[]).wait(15).wait(15).wait(15)),
        ("everything_lost", (0..9).fold(Script::new(ALICE_CALLED), |it, _| it.step(Op::Lose, 0, &[]).wait(12))),
        ("twice", talk((0..9).fold(Script::new(ALICE_CALLED), |it, _| it.step(Op::Lose, 1, &[]).wait(6)))),
        ("replays", (0..60).fold(knocked.clone(), |it, which| it.step(Op::Again, which, &[which]))),
        ("flips", (0..60).fold(knocked.clone(), |it, which| it.step(Op::Again, which, &[0, 0, 0, which, 1]))),
        ("changed_under_way", dialled.clone().step(Op::Change, 0, &[0, 0, 40, 1]).wait(12)),
        ("changed_init", (0..9).fold(Script::new(0), |it, at| it.step(Op::Init, 1, &[0, 0, at, 1])).wait(5)),
        ("cookies", cookies),
        ("garbage_in_a_session", knocked.clone().step(Op::Text, 0, &[0, 0, 0, 0, 1, 0, 9]).wait(10)),
        ("many_in_one_packet", knocked.clone().step(Op::Text, 0, &[&[0; 4][..], &[0x85, 0, 0].repeat(99)].concat())),
        (
            "challenges_from_elsewhere",
            knocked.clone().step(Op::Text, 12, &[&[0; 4][..], &CHALLENGE.repeat(100)].concat()),
        ),
        ("dial_mallory", dialled.wait(12)),
        ("dial_nobody", Script::new(NOBODY_CALLED).step(Op::User, 2, &[]).wait(14)),
        ("contact_and_block", Script::new(MALLORY_CALLED).step(Op::User, 8, &[]).step(Op::User, 10, &[]).wait(12)),
        ("hold_and_hang_up", Script::new(ALICE_CALLED).step(Op::User, 7, &[]).wait(8).step(Op::User, 6, &[]).wait(12)),
        ("shutdown", Script::new(MALLORY_CALLED).step(Op::User, 11, &[]).wait(13)),
    ];
    seeds.extend([("raw_empty", Script::new(ALICE_CALLED).step(Op::Raw, 12, &[]))]);
    let mut seeds: Vec<_> = seeds.into_iter().map(|(name, script)| (name.to_owned(), script)).collect();
    for frame in frames() {
        let mut body = Vec::new();
        frame.emit_body(&mut body);
        let script = Script::new(MALLORY_CALLED).step(Op::Frame, frame.kind(), &body).wait(5).step(Op::React, 0, &[]);
        seeds.push((format!("frame_{:02x}", frame.kind()), script.wait(11)));
    }
    seeds
}

/// One frame of every type.
fn frames() -> Vec<Frame> {
    let (call_id, reason) = (1, Reason::Normal);
    let report = MediaReport {
        highest_tick: 8,
        received: 1,
        lost_permille: 0,
        jitter_ms: 3,
        queue_ms: 20,
        trend: -1,
        rx_rate: 32,
    };
    vec![
        Frame::CallInitiate { call_id: 2, attempt: 1, max_tries: 1 },
        Frame::CallInitiateReply { call_id, ok: true, reason },
        Frame::CallAnswer { call_id },
        Frame::CallBusy { call_id, can_wait: false, ttw: 0 },
        Frame::CallWaiting { call_id, want: true },
        Frame::CallWaitingReply { call_id, ok: true, ttw: 1 },
        Frame::CallTerminate { call_id, reason },
        Frame::CallTerminateReply { call_id, ok: true },
        Frame::CallHold { call_id, on: true },
        Frame::MediaParams { frame_ticks: 8, max_kbps: 32, mode: 0, fec: true },
        Frame::RekeyInit { epoch: 1, key: [4; 91] },
        Frame::RekeyResp { epoch: 1, key: [4; 91] },
        Frame::RekeyReq { epoch: 1 },
        Frame::PathOffer { addresses: vec![([198, 18, 50, 1], 5004).into()] },
        Frame::VerifyCommit { commitment: [1; 32] },
        Frame::VerifyNonce { nonce: [2; 16] },
        Frame::VerifyReveal { nonce: [3; 16] },
        Frame::Close { reason },
        Frame::HeartBeat { id: 1, t_ms: 5, media_sent: 9, media_seq: 80 },
        Frame::HeartBeatReply { id: 1, t_ms: 5, hold_ms: 0 },
        Frame::PathChallenge { data: [5; 8] },
        Frame::PathResponse { data: [5; 8] },
        Frame::MediaReport(report),
        Frame::Pad { length: 30 },
    ]
}

/// A genuine datagram of every kind and length that travels in a call with Alice, one with Mallory and a search, each
/// as raw bytes from somebody else.
fn genuine() -> Vec<(String, Script)> {
    let mut found = BTreeMap::new();
    for (_, script) in
        scripts().into_iter().filter(|(name, _)| ["talk", "dial_mallory", "cookies", "changed_init"].contains(&&**name))
    {
        let (beginning, steps) = read(script.bytes());
        let mut world = World::new(beginning);
        for step in steps {
            world.step(&step);
            for datagram in world.seen() {
                let kind = if datagram[0] < 0x80 { datagram[0] } else { datagram[0] & 0xe0 };
                let name = format!("genuine_{kind:02x}_{}", datagram.len());
                found.entry(name).or_insert_with(|| {
                    Script::new(beginning).step(Op::Raw, 0, datagram).step(Op::Raw, 12, datagram).wait(5)
                });
            }
        }
    }
    found.into_iter().collect()
}
