// SPDX-License-Identifier: GPL-3.0-or-later
//! The form of a fuzzer's input: one byte that says how the run begins, then steps. A step is what happens (one
//! byte), an argument (one byte), and a body with its length (two bytes) before it. A body that is too short is used
//! as it is, so that every input is a script.

use std::time::Duration;

/// More steps than this say nothing new and cost time.
pub const MAX_STEPS: usize = 300;

/// What happens in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// The body arrives as a datagram; the argument chooses where from.
    Raw,
    /// Time passes: 2^argument milliseconds.
    Wait,
    /// A datagram of the past arrives once more, changed; the argument chooses which, the body's first byte where from.
    Again,
    /// A datagram under way, chosen by the argument, is changed.
    Change,
    /// A datagram under way, chosen by the argument, is lost or comes twice.
    Lose,
    /// Mallory begins a handshake; the argument chooses the identity and the address.
    Knock,
    /// Mallory answers all that has reached her; the body says which nodes she claims to know.
    React,
    /// An HS_INIT that is changed, but by somebody who knows Bob's ID.
    Init,
    /// Mallory seals the body as the text of a control packet.
    Text,
    /// Mallory sends the body as a frame of the type in the argument.
    Frame,
    /// Mallory sends the body as media; the argument is the step of the sequence number.
    Media,
    /// Bob's user does something.
    User,
    /// Bob and Alice speak a frame each.
    Speak,
}

/// All of them, by number.
const OPS: [Op; 13] = [
    Op::Raw,
    Op::Wait,
    Op::Again,
    Op::Change,
    Op::Lose,
    Op::Knock,
    Op::React,
    Op::Init,
    Op::Text,
    Op::Frame,
    Op::Media,
    Op::User,
    Op::Speak,
];

/// One step.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// What happens.
    pub op: Op,
    /// To whom, or how much.
    pub argument: u8,
    /// With what.
    pub body: &'a [u8],
}

impl Step<'_> {
    /// How long a [`Op::Wait`] is.
    pub fn span(&self) -> Duration {
        Duration::from_millis(1 << (self.argument % 16))
    }
}

/// Reads a script: how it begins, and its steps.
pub fn read(input: &[u8]) -> (u8, impl Iterator<Item = Step<'_>>) {
    let (beginning, mut rest) = input.split_first().map_or((0, input), |(first, rest)| (*first, rest));
    let steps = std::iter::from_fn(move || {
        let [op, argument, high, low, tail @ ..] = rest else { return None };
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (body, after) = tail.split_at(length);
        rest = after;
        Some(Step { op: OPS[usize::from(*op) % OPS.len()], argument: *argument, body })
    });
    (beginning, steps.take(MAX_STEPS))
}

/// Writes scripts.
#[derive(Clone, Debug)]
pub struct Script(Vec<u8>);

impl Script {
    /// A script that begins with `beginning`.
    pub fn new(beginning: u8) -> Self {
        Self(vec![beginning])
    }

    /// Adds a step.
    #[must_use]
    pub fn step(mut self, op: Op, argument: u8, body: &[u8]) -> Self {
        let length = u16::try_from(body.len()).expect("no step is that long");
        self.0.extend([op as u8, argument]);
        self.0.extend(length.to_be_bytes());
        self.0.extend(body);
        self
    }

    /// Lets 2^`power` ms pass.
    #[must_use]
    pub fn wait(self, power: u8) -> Self {
        self.step(Op::Wait, power, &[])
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Changes a datagram: the first byte of `changes` is how many bytes are cut off at its end, then follow changes of
/// three bytes each: a place and what it is XORed with.
pub fn change(datagram: &mut Vec<u8>, changes: &[u8]) {
    let Some((cut, changes)) = changes.split_first() else { return };
    datagram.truncate(datagram.len().saturating_sub(usize::from(*cut)));
    for change in changes.chunks_exact(3) {
        let place = usize::from(u16::from_be_bytes([change[0], change[1]]));
        let length = datagram.len().max(1);
        if let Some(byte) = datagram.get_mut(place % length) {
            *byte ^= change[2];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let script = Script::new(2).wait(10).step(Op::Speak, 0, &[]).step(Op::Raw, 7, &[1, 2, 3]);
        let (beginning, steps) = read(script.bytes());
        let steps: Vec<_> = steps.map(|step| (step.op, step.argument, step.body)).collect();
        assert_eq!(beginning, 2);
        assert_eq!(steps, [(Op::Wait, 10, &[][..]), (Op::Speak, 0, &[]), (Op::Raw, 7, &[1, 2, 3])]);
    }

    #[test]
    fn every_op_has_its_number() {
        assert!(OPS.iter().enumerate().all(|(number, op)| *op as usize == number));
    }

    #[test]
    fn changes_cut_and_flip() {
        let mut datagram = vec![0; 10];
        change(&mut datagram, &[2, 0, 1, 0xff, 0, 9, 0x0f]);
        assert_eq!(datagram, [0, 0xff ^ 0x0f, 0, 0, 0, 0, 0, 0]);
    }
}
