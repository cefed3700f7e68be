// SPDX-License-Identifier: GPL-3.0-or-later
//! What the screens say of the overlay, and how they get to know it.

use dvs_proto::message::{Lookup, Network, Sighting};

use super::*;

#[test]
fn the_network_without_unicode() {
    let mut scene = Scene::with_theme(example::snapshot(), Theme::new(false, false));
    scene.press("N");
    let screen = scene.draw(WIDE);
    assert!(screen.is_ascii(), "{screen}");
    assert!(screen.contains("0:#20, 1:=11"), "{screen}");
}

#[test]
fn the_network_is_asked_for_while_it_is_shown() {
    let mut scene = in_daily_use();
    scene.wait(10);
    assert!(scene.sent.is_empty());
    scene.press("N");
    assert!(matches!(scene.sent.last(), Some((_, Request::Network))));
    let network = Network { nodes: 977, ..example::empty().network };
    scene.answer(Ok(Reply::Network(Box::new(network))));
    assert!(scene.draw(NORMAL).contains("977 nodes"));
    scene.wait(1);
    assert!(scene.sent.is_empty());
    scene.wait(1);
    assert_eq!(scene.sent.len(), 1);
    scene.press("N");
    scene.wait(10);
    assert_eq!(scene.sent.len(), 1);
}

#[test]
fn looking_for_somebody_says_where_they_are() {
    let mut scene = in_daily_use();
    scene.press(":lookup Bob\n");
    let target = Target { id: BOB.into(), hex: "AB".repeat(20), name: Some("Bob".into()), own: false };
    scene.answer(Ok(Reply::Target(target)));
    let lookup = |missing, found| Lookup { peer: BOB.into(), name: Some("Bob".into()), found, took_us: 9_500, missing };
    let found = vec![Sighting { address: "198.51.100.9:5004".into(), rtt_us: 3_100 }];
    scene.event(Event::Lookup(lookup(None, found)));
    let screen = scene.draw(NORMAL);
    assert_eq!(screen.matches("Bob: found in 9.5 ms: 198.51.100.9:5004 (3.1 ms)").count(), 1, "{screen}");
    scene.wait(10);
    scene.event(Event::Lookup(lookup(Some(EndReason::NotFound), Vec::new())));
    let lines: Vec<&str> = scene.app.log.iter().map(|entry| entry.text.as_str()).collect();
    assert!(lines.last().unwrap().starts_with("Bob: not found in the overlay"), "{lines:?}");
    assert!(scene.app.notice.is_none(), "somebody else asked");
}

#[test]
fn an_invite_of_a_contact_renews_its_addresses() {
    let mut scene = in_daily_use();
    scene.press("n");
    let invite = format!("dvs:{BOB}?at=198.51.100.9:5004");
    scene.feed(Input::Paste(invite.clone()));
    let target = Target { id: BOB.into(), hex: "AB".repeat(20), name: Some("Bob".into()), own: false };
    scene.answer(Ok(Reply::Target(target)));
    assert!(scene.draw(NORMAL).contains("renews the addresses of Bob"));
    scene.press("\n");
    let (_, request) = scene.sent.pop().unwrap();
    assert_eq!(request, Request::ContactAdd { name: "Bob".into(), target: invite });
}
