// SPDX-License-Identifier: GPL-3.0-or-later
//! Every format a datagram can have: whatever parses is written back to the same bytes, where it has a writer.
#![no_main]

use dvsd::wire::handshake::{Auth, Cookie, Init, Resp, Spoken, Versions, any_version};
use dvsd::wire::session::{Header, parse_control};
use dvsd::wire::{Layer, MAX_DATAGRAM, kind, routing};
use libfuzzer_sys::fuzz_target;

/// An implementation that speaks whatever comes.
const EVERY: Versions = Versions { min: 0, max: 255 };

fuzz_target!(|datagram: &[u8]| {
    let Ok(layer) = Layer::of(datagram) else { return };
    assert!(datagram.len() <= MAX_DATAGRAM);
    match layer {
        Layer::Routing => {
            if let Ok(packet) = routing::Packet::parse(datagram) {
                let written = packet.emit();
                assert_eq!(routing::Packet::parse(&written), Ok(packet));
            }
        }
        Layer::Handshake => handshake(datagram),
        Layer::Session => {
            if let Ok(header) = Header::parse(datagram) {
                let mut written = vec![0; Header::length(header.slot)];
                header.write(&mut written).expect("there is room");
                assert!(datagram.starts_with(&written), "{header:?}");
            }
            // What a packet of this content would be once opened.
            if let Ok((_, frames)) = parse_control(&datagram[1..]) {
                assert!(frames.count() <= datagram.len());
            }
        }
        Layer::Circuit => {}
    }
});

fn handshake(datagram: &[u8]) {
    let _ = any_version(datagram);
    match datagram[0] {
        kind::HS_INIT => drop(Init::parse(datagram, EVERY)),
        kind::HS_RESP => drop(Resp::parse(datagram, EVERY)),
        kind::HS_AUTH => drop(Auth::parse(datagram, EVERY)),
        kind::HS_COOKIE => {
            if let Ok(cookie) = Cookie::parse(datagram, EVERY) {
                assert_eq!(Cookie::parse(&cookie.emit(), EVERY).ok().map(|again| again.emit()), Some(cookie.emit()));
            }
        }
        _ => {
            if let Ok(spoken) = Spoken::parse(datagram) {
                assert_eq!(Spoken::parse(&spoken.emit()).ok().map(|again| again.emit()), Some(spoken.emit()));
            }
        }
    }
}
