// SPDX-License-Identifier: GPL-3.0-or-later
//! Writes the seeds of `spki_template`, `hs_init`, `hs_resp_plain` and `record`: `cargo run --manifest-path fuzz/Cargo.toml
//! --example handshake_seeds`.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;

use dvs_fuzz::mallory::identity;
use dvsd::crypto::identity::{Identity, KeyKind};
use dvsd::handshake::{ExpectResponse, Mode};
use dvsd::id::NodeId;
use dvsd::random::Random;
use dvsd::record::Record;
use dvsd::wire::handshake::{Claim, Credentials, Versions};
use dvsd::wire::record::{Content, Kind, MAX_TTL, Place};
use dvsd::wire::session::Slot;
use openssl::bn::BigNum;
use openssl::dsa::Dsa;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn main() -> Result<(), Box<dyn Error>> {
    let credentials = credentials();
    for (target, seeds) in
        [("spki_template", keys()?), ("hs_init", inits()), ("hs_resp_plain", credentials), ("record", records()?)]
    {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
        std::fs::create_dir_all(&directory)?;
        for (name, bytes) in seeds {
            println!("{target}/{name}: {} bytes", bytes.len());
            std::fs::write(directory.join(name), bytes)?;
        }
    }
    Ok(())
}

/// An odd number of so many bits.
fn number(bits: usize) -> Result<BigNum, Box<dyn Error>> {
    Ok(BigNum::from_slice(&vec![0xff; bits / 8])?)
}

fn rsa(bits: usize, exponent: u32) -> Result<Vec<u8>, Box<dyn Error>> {
    let key = Rsa::from_public_components(number(bits)?, BigNum::from_u32(exponent)?)?;
    Ok([vec![4], PKey::from_rsa(key)?.public_key_to_der()?].concat())
}

fn dsa(modulus: usize, subgroup: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let small = || number(modulus - 8);
    let key = Dsa::from_public_components(number(modulus)?, number(subgroup)?, small()?, small()?)?;
    Ok([vec![5], PKey::from_dsa(key)?.public_key_to_der()?].concat())
}

fn keys() -> Result<Seeds, Box<dyn Error>> {
    let made = |kind: KeyKind| -> Result<Vec<u8>, Box<dyn Error>> {
        let identity = Identity::generate(kind, &mut Random::seeded(1))?;
        Ok([&[kind.to_wire()], identity.public().spki()].concat())
    };
    Ok(vec![
        ("p384", made(KeyKind::P384)?),
        ("p521", made(KeyKind::P521)?),
        ("ed448", made(KeyKind::Ed448)?),
        ("rsa_2048", rsa(2_048, 65_537)?),
        ("rsa_3072_e3", rsa(3_072, 3)?),
        ("rsa_4096", rsa(4_096, 0xffff_ffff)?),
        ("rsa_1024", rsa(1_024, 65_537)?),
        ("rsa_2048_e1", rsa(2_048, 1)?),
        ("dsa_224", dsa(2_048, 224)?),
        ("dsa_256", dsa(2_048, 256)?),
        ("dsa_160", dsa(2_048, 160)?),
    ])
}

/// One HS_INIT after the other, each sent as `how` says.
fn sent(how: &[u8], inits: &[Vec<u8>]) -> Vec<u8> {
    let each = how.iter().zip(inits.iter().cycle());
    each.flat_map(|(how, init)| [&[*how][..], &(init.len() as u16).to_be_bytes(), init].concat()).collect()
}

fn inits() -> Seeds {
    let bob = identity(0).public().id();
    let dial = |seed, mode| {
        ExpectResponse::start(bob, mode, &mut Random::seeded(seed)).expect("a key can be made").datagram().to_vec()
    };
    let full: Vec<_> = (0..4).map(|seed| dial(seed, Mode::Full)).collect();
    let mut version_2 = full.clone();
    version_2.iter_mut().for_each(|init| (init[1], init[5]) = (2, 2));
    let short: Vec<_> = full.iter().map(|init| [&init[..107], &[0; 32]].concat()).collect();
    vec![
        ("one", sent(&[2], &full)),
        ("repeated", sent(&[2; 6], &full[..1])),
        ("cookies", sent(&[2, 2, 6, 6, 6], &[&full[..2], &full[1..2], &full[2..], &full[..1]].concat())),
        ("not_fitting", sent(&[0, 4], &full)),
        ("version_2", sent(&[0, 2], &version_2)),
        ("anonymous", sent(&[2], &[dial(9, Mode::Anonymous)])),
        ("short", sent(&[2, 2, 6], &short)),
        ("over_seconds", sent(&[0x3a; 12], &short)),
    ]
}

fn credentials() -> Seeds {
    let claim = |number, slot, versions, algorithm| {
        Claim { versions, slot, algorithm, spki: identity(number).public().spki() }.emit()
    };
    let short = Some(Slot::Short(5));
    let ours = |number| claim(number, short, Versions::OURS, 7);
    let mut whole = ours(0);
    Credentials::emit_rest(&[7; 64], &[8; 32], &mut whole);
    let with = |mode: u8, text: Vec<u8>| [vec![mode], text].concat();
    vec![
        ("resp_signed", with(2, ours(0))),
        ("auth_signed", with(3, ours(1))),
        ("resp_extended", with(2, claim(0, Some(Slot::Extended(9)), Versions::OURS, 7))),
        ("auth_extended", with(3, claim(1, Some(Slot::Extended(9)), Versions::OURS, 7))),
        ("resp_anonymous", with(2, claim(0, None, Versions::OURS, 7))),
        ("auth_anonymous", with(3, claim(1, None, Versions::OURS, 7))),
        ("resp_version_2", with(2, claim(0, short, Versions { min: 2, max: 2 }, 7))),
        ("resp_newer", with(2, claim(0, short, Versions { min: 1, max: 9 }, 7))),
        ("auth_newer", with(3, claim(1, short, Versions { min: 1, max: 9 }, 7))),
        ("auth_ourselves", with(3, ours(0))),
        ("resp_other_algorithm", with(2, claim(0, short, Versions::OURS, 1))),
        ("resp_unsigned", with(0, whole.clone())),
        ("auth_unsigned", with(1, whole)),
    ]
}

fn records() -> Result<Seeds, Box<dyn Error>> {
    let (v4, v6): (SocketAddr, SocketAddr) = ("198.18.0.1:5004".parse()?, "[2001:db8::1]:5004".parse()?);
    let content = |kind, addresses: &[SocketAddr]| {
        let place = |address: &SocketAddr| Place { node: NodeId([1; 20]), address: *address, token: [2; 16] };
        let places = addresses.iter().map(place).collect();
        Content { kind, seq: 7, not_after: 1_700_000_000, ttl: MAX_TTL, places }
    };
    let p256 = Identity::generate(KeyKind::P256, &mut Random::seeded(1))?;
    let small = Record::sign(&identity(0), content(Kind::Relay, &[v4]))?.bytes().to_vec();
    let unsigned = [&small[..small.len() - 66], &[0, 0]].concat();
    Ok(vec![
        ("two_families", Record::sign(&identity(1), content(Kind::Exchange, &[v4, v6]))?.bytes().to_vec()),
        ("p256_three", Record::sign(&p256, content(Kind::Exchange, &[v6; 3]))?.bytes().to_vec()),
        ("relay", small),
        ("unsigned", unsigned),
    ])
}
