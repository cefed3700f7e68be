// SPDX-License-Identifier: GPL-3.0-or-later
//! The layers of an onion cell (PROTOCOL.md, "Cells"): what circuits are built on, which come with a later release.
//!
//! A cell has the same 160 bytes on every link. Inside, its 139-byte body is sealed for the one hop it is meant for
//! and wrapped in a stream cipher for every hop before that one; outside, each pair of neighbours seals it anew.

use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;

use super::CryptoError;
use super::kdf::{self, Secret};
use super::seal::{Gcm, Mode};

/// First byte of a cell of fixed size.
const KIND: u8 = crate::wire::kind::CELL;
/// Bytes of a cell on a link.
pub const CELL_LEN: usize = 160;
/// Kind, circuit number and link sequence number, in clear on the link.
const HEADER_LEN: usize = 9;
/// The tag between neighbours.
const LINK_TAG: usize = 8;
/// What neighbours seal: the cell's counter and its body.
const SEALED_LEN: usize = 4 + BODY_LEN;
/// Bytes of a body: the text and its tag.
pub const BODY_LEN: usize = TEXT_LEN + END_TAG;
/// Bytes of text, padding included.
pub const TEXT_LEN: usize = 123;
/// The tag between client and the hop a cell is meant for.
const END_TAG: usize = 16;
/// What the end-to-end tag of a forward cell also covers.
const FORWARD: &[u8] = b"F";

/// The keys that a client shares with one hop.
pub struct HopKeys {
    layer: Secret,
    end_to_end: Secret,
    link: Secret,
}

impl HopKeys {
    /// The forward keys that follow from the secret of an anonymous handshake.
    pub fn forward(secret: &[u8; kdf::DIGEST_LEN]) -> Self {
        let [layer, end_to_end, link] = ["layer f", "e2e f", "link f"].map(|label| kdf::expand(secret, label, b""));
        Self { layer, end_to_end, link }
    }
}

impl core::fmt::Debug for HopKeys {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("HopKeys")
    }
}

/// Seals `text` for the last of `hops` and wraps it for those before it. `counter` is never used twice in a circuit.
pub fn wrap(hops: &[HopKeys], counter: u32, text: &[u8; TEXT_LEN]) -> Result<[u8; BODY_LEN], CryptoError> {
    let (target, before) = hops.split_last().ok_or(CryptoError)?;
    let mut body = [0; BODY_LEN];
    let (inner, tag) = body.split_at_mut(TEXT_LEN);
    inner.copy_from_slice(text);
    Gcm::new(Mode::Seal, &target.end_to_end)?.seal(&nonce(counter), FORWARD, inner, tag)?;
    for hop in before.iter().rev() {
        stream(&hop.layer, counter, &mut body)?;
    }
    Ok(body)
}

/// What a hop finds in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unwrapped {
    /// It was meant for this hop.
    Here([u8; TEXT_LEN]),
    /// It goes on to the next, with this hop's layer taken off.
    Onward([u8; BODY_LEN]),
}

/// Opens `body` if it is meant for the hop with `keys`, or takes that hop's layer off.
pub fn unwrap(keys: &HopKeys, counter: u32, body: &[u8; BODY_LEN]) -> Result<Unwrapped, CryptoError> {
    let (text, tag) = body.split_last_chunk::<END_TAG>().ok_or(CryptoError)?;
    let mut text: [u8; TEXT_LEN] = text.try_into().map_err(|_| CryptoError)?;
    if Gcm::new(Mode::Open, &keys.end_to_end)?.open(&nonce(counter), FORWARD, &mut text, tag) {
        return Ok(Unwrapped::Here(text));
    }
    let mut onward = *body;
    stream(&keys.layer, counter, &mut onward)?;
    Ok(Unwrapped::Onward(onward))
}

/// Seals a body for the neighbour that knows `keys`, under the neighbour's circuit number. `sequence` is never used
/// twice on a link.
pub fn seal_link(
    keys: &HopKeys,
    circuit: u32,
    sequence: u32,
    counter: u32,
    body: &[u8; BODY_LEN],
) -> Result<[u8; CELL_LEN], CryptoError> {
    let mut cell = [0; CELL_LEN];
    let (header, rest) = cell.split_at_mut(HEADER_LEN);
    let (tag, text) = rest.split_at_mut(LINK_TAG);
    header.copy_from_slice(&[&[KIND][..], &circuit.to_be_bytes(), &sequence.to_be_bytes()].concat());
    text.copy_from_slice(&[&counter.to_be_bytes()[..], body].concat());
    Gcm::new(Mode::Seal, &keys.link)?.seal(&nonce(sequence), header, text, tag)?;
    Ok(cell)
}

/// Opens a cell from the neighbour that shares `keys`: its counter and body; `None` unless it is authentic.
pub fn open_link(keys: &HopKeys, cell: &[u8; CELL_LEN]) -> Option<(u32, [u8; BODY_LEN])> {
    let (header, rest) = cell.split_first_chunk::<HEADER_LEN>()?;
    let (tag, text) = rest.split_first_chunk::<LINK_TAG>()?;
    let sequence = u32::from_be_bytes(*header.last_chunk()?);
    let mut text: [u8; SEALED_LEN] = text.try_into().ok()?;
    let opened = Gcm::new(Mode::Open, &keys.link).ok()?.open(&nonce(sequence), header, &mut text, tag);
    let (counter, body) = text.split_first_chunk::<4>()?;
    opened.then_some((u32::from_be_bytes(*counter), body.try_into().ok()?))
}

/// Eight zero bytes and the number.
fn nonce(number: u32) -> [u8; 12] {
    let mut nonce = [0; 12];
    if let Some(tail) = nonce.last_chunk_mut() {
        *tail = number.to_be_bytes();
    }
    nonce
}

/// Adds a hop's key stream, which takes it off as well.
fn stream(key: &Secret, counter: u32, body: &mut [u8; BODY_LEN]) -> Result<(), CryptoError> {
    let mut start = [0; 16];
    if let Some(head) = start.first_chunk_mut() {
        *head = counter.to_be_bytes();
    }
    let mut context = CipherCtx::new()?;
    context.encrypt_init(Some(Cipher::aes_256_ctr()), Some(&key[..]), Some(&start))?;
    context.cipher_update_inplace(body, BODY_LEN)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    /// The media packet of the handshake's vectors, as DATA (16) for join 0.
    const MEDIA: &str = "850000000a1888380fb656a83425e2e103e648b38710a708f631890b17fc1988c934726148caf65014b6fb58657833319f4b002548602cc11e841d2a59c9c68b9b2e4659f833f0e86e3c9b1ad5149faaca652c57c47520014e6dc6f469";
    const BODY: &str = "b00748ff438de3df4371c4feebde4eb00bada96b3c56be69255ff36a5fa0b139a6ec679f189530f0f741d744ecd2afd9e4337646c1f543c5bb8eb596410846bc032861e9d327734f8b37247dae33562f75dbb7b663f8154e6da1b335c97fed1481a66af264af24c9ded62a7277fbb4614ad85db5b1c3db9e77522d6ecedb488f0c49c106389f1bdaa7afed";
    const CELL: &str = "4211223344000000096f2d773b65e2fc12d556c022a8a7e659772355526da351e1a7af4b21a7cd4c99bf4e7f053a10d659daeb780848acef9ed5994cf2f51b24844f21e7a1acb99f1197d440963c342a07ea70107836695978770ba620f3f2703c78829b34e48c85b7fad002cf1eb1ba54ca1c694a5f151b156cb9813fcd148e7579511ac9332444843c4ae7c443e9b395524f393805dacf8a6c2eababe70c16";

    fn hops() -> [HopKeys; 3] {
        [&b"hop0"[..], b"hop1", b"hop2"].map(|name| HopKeys::forward(&kdf::sha256(&[name])))
    }

    fn text() -> [u8; TEXT_LEN] {
        let media = HEXLOWER.decode(MEDIA.as_bytes()).unwrap();
        let mut text = [0; TEXT_LEN];
        text[..3].copy_from_slice(&[16, 0, media.len() as u8]);
        text[3..3 + media.len()].copy_from_slice(&media);
        text
    }

    #[test]
    fn the_vectors_of_the_protocol_hold() {
        let body = wrap(&hops(), 7, &text()).unwrap();
        assert_eq!(HEXLOWER.encode(&body), BODY);
        let cell = seal_link(&hops()[0], 0x1122_3344, 9, 7, &body).unwrap();
        assert_eq!(HEXLOWER.encode(&cell), CELL);
    }

    #[test]
    fn every_hop_takes_off_its_layer_and_only_the_last_can_read() {
        let hops = hops();
        let mut body = wrap(&hops, 7, &text()).unwrap();
        for (number, hop) in hops.iter().enumerate() {
            let cell = seal_link(hop, 1, 2, 7, &body).unwrap();
            let (counter, arrived) = open_link(hop, &cell).unwrap();
            match unwrap(hop, counter, &arrived).unwrap() {
                Unwrapped::Onward(onward) if number < 2 => body = onward,
                Unwrapped::Here(read) if number == 2 => assert_eq!(read, text()),
                other => panic!("hop {number}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_cell_changed_on_a_link_is_not_authentic() {
        let hops = hops();
        let body = wrap(&hops, 7, &text()).unwrap();
        let cell = seal_link(&hops[0], 1, 2, 7, &body).unwrap();
        for at in 0..CELL_LEN {
            let mut changed = cell;
            changed[at] ^= 1;
            assert_eq!(open_link(&hops[0], &changed), None, "byte {at}");
        }
    }
}
