// SPDX-License-Identifier: GPL-3.0-or-later
//! The minimal call that DVS is compared with is a call: everything spoken is heard, and soon.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use core::time::Duration;

use dvs_tests::alignment::compare;
use dvs_tests::clicks::{self, Clicks};
use dvs_tests::floor::Floor;
use dvs_tests::speech::{self, RATE};
use dvs_tests::usage::Reading;
use dvs_tests::vcard::{Card, World};

#[test]
fn a_minimal_call_carries_clicks_and_speech_both_ways() {
    let mut microphone = clicks::samples(5);
    microphone.extend(speech::samples(6).unwrap());
    let world = World::new(["left", "right"].map(|name| Card::new(name, microphone.clone())).to_vec()).unwrap();
    let floor = Floor::build().unwrap();
    world.begin().unwrap();
    let call = floor.call(&world, ["left", "right"]).unwrap();
    std::thread::sleep(Duration::from_millis(5_500));
    let before = call.pids().map(|pid| Reading::of(pid).unwrap());
    std::thread::sleep(Duration::from_millis(6_000));
    let after = call.pids().map(|pid| Reading::of(pid).unwrap());
    for account in call.finish().unwrap() {
        assert!(account.received > 550 && account.refused == 0, "{account:?}");
        println!("{account:?}");
    }
    for (side, card) in ["left", "right"].into_iter().enumerate() {
        let heard = world.heard(card).unwrap();
        let found = Clicks::find(&heard, RATE as usize..5 * RATE as usize);
        assert!(found.missed == 0 && found.delays_ms.len() >= 7, "{found:?}");
        // 20 ms for the frame, 6.5 ms of the codec; what is more is scheduling.
        assert!(found.median_ms().unwrap() > 26.5, "{found:?}");
        let spoken = world.recording(&microphone).unwrap();
        let likeness = compare(spoken, world.recording(&heard).unwrap(), 200).unwrap();
        assert!(likeness.correlation > 0.85, "{likeness:?}");
        println!(
            "{card} hears clicks after {:.2} ms, speech after {:.2} ms, alike {:.3}; {:.2} ms/s of a processor",
            found.median_ms().unwrap(),
            likeness.delay_ms,
            likeness.correlation,
            after[side].total_since(&before[side]),
        );
    }
}
