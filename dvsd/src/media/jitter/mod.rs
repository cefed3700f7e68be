// SPDX-License-Identifier: GPL-3.0-or-later
//! Playout: from packets that come when they come to sound that leaves without a break.
//!
//! The sound card is the clock. Whenever its queue runs low the audio thread calls [`Playout::pull`], which always
//! gives sound: the next frame, made a little shorter or longer when its turn came too late or too early; a lost frame
//! from the redundancy in the next packet; a guess; and after a while without packets, silence. Clock drift between
//! the two cards shows as frames coming ever earlier or later, and is taken up by the same small changes.
//!
//! The decoder is never reset, and nothing is allocated after [`Playout::new`].

mod delay;
mod store;
#[cfg(test)]
mod tests;

use self::delay::Delays;
use self::store::{Refused, Store};
use super::codec::Decoder;
use super::packet::OpusPacket;
use super::{MAX_FRAME_SAMPLES, SAMPLE_RATE, TICK_MICROS, TICK_SAMPLES, stretch};

/// The most samples one pull gives: the longest frame, lengthened.
pub const MAX_CHUNK: usize = MAX_FRAME_SAMPLES + MAX_FRAME_SAMPLES / 2;
/// Silence and guesses come in pieces of 10 ms, so that a packet is never kept waiting for long.
const SHORT_CHUNK: usize = 480;
/// Sequence numbers further than this from the expected one, in ticks (2 s), belong to another stream.
const HORIZON: i64 = 800;
/// Concealment is faded out between these two lengths, in samples (60 ms and 120 ms); then there is silence.
const FADE_FROM: usize = 2_880;
const FADE_TO: usize = 5_760;
/// A frame this much too early, in samples (0.5 ms), is made longer: packets are about to come too late.
const EARLY_BAND: i64 = -24;
/// In a pause a frame this much too late, in samples (1.5 ms), is made shorter.
const PAUSE_BAND: i64 = 72;
/// In speech only a frame this much too late is made shorter, in samples (7.5 ms): the next pause is not far.
const SPEECH_BAND: i64 = 360;
/// The pitch period speech may be repeated by even if that waits longer than needed, in samples (10 ms).
const LONGEST_PERIOD: usize = 480;
/// Speech is changed at most once in this many samples (100 ms): about a tenth of its speed.
const CALM: usize = 4_800;
/// The same while the delay is far off (40 ms).
const HURRY: usize = 1_920;
const FAR_OFF: i64 = 1_920;
/// Length of the fade-in after silence, in samples (2.5 ms).
const FADE_IN: usize = TICK_SAMPLES;
/// Share of lost frames, in thousandths, from which one more frame is awaited for its redundancy, and back.
const REDUNDANCY_ON: f32 = 5.0;
const REDUNDANCY_OFF: f32 = 1.5;
/// Losses and redundancy are averaged over about this many frames (10 s).
const MEMORY: f32 = 512.0;

/// The figures of playout, all since the start of the call unless they say otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutStats {
    /// Packets taken in, in time or late.
    pub received: u64,
    /// Frames whose packet was not there when its turn came.
    pub lost: u64,
    /// Of these, how many came too late.
    pub late: u64,
    /// Of the lost, how many were recovered from redundancy.
    pub recovered: u64,
    /// Of the lost, how many were concealed.
    pub concealed: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that could not be used: not Opus, or from nowhere near the stream.
    pub refused: u64,
    /// Samples of guessed sound, for losses and while waiting.
    pub guessed_samples: u64,
    /// Samples inserted by lengthening.
    pub stretched: u64,
    /// Samples left out by shortening.
    pub shortened: u64,
    /// Interarrival jitter now, in microseconds.
    pub jitter_us: u32,
    /// Sound waiting in packets now, in microseconds.
    pub buffered_us: u32,
    /// How long frames are meant to wait now, in microseconds.
    pub target_us: u32,
    /// How long the latest frames did wait from arrival to being pulled, in microseconds, smoothed.
    pub waited_us: u32,
    /// Lost frames among all frames, in thousandths.
    pub loss_permille: u16,
}

/// What playout is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Silence, until a packet comes and its time has come.
    Idle,
    /// Sound; `guessed` samples of it were guessed since the last frame, without moving on in the stream.
    Playing { guessed: usize },
}

/// Whether frames are worth waiting for because the redundancy in them is needed.
#[derive(Default)]
struct LossWatch {
    /// Average of 1000 for each lost and 0 for each played frame.
    permille: f32,
    /// Average of 1 for each packet with redundancy.
    redundancy: f32,
    waiting: bool,
}

impl LossWatch {
    fn frame(&mut self, lost: bool, redundancy: Option<bool>) {
        self.permille += ((if lost { 1_000.0 } else { 0.0 }) - self.permille) / MEMORY;
        if let Some(present) = redundancy {
            self.redundancy += (f32::from(u8::from(present)) - self.redundancy) / 64.0;
        }
        let limit = if self.waiting { REDUNDANCY_OFF } else { REDUNDANCY_ON };
        self.waiting = self.permille > limit && self.redundancy > 0.25;
    }
}

/// The playout of one call.
pub struct Playout {
    decoder: Box<dyn Decoder>,
    store: Store,
    delays: Delays,
    losses: LossWatch,
    state: State,
    /// Sequence number of the next frame to play; `None` before the first packet.
    next: Option<u32>,
    frame_ticks: u8,
    since_change: usize,
    /// A sequence number far from the stream; a second one near it confirms that the stream jumped.
    jump: Option<u32>,
    frame: Box<[i16; MAX_FRAME_SAMPLES]>,
    lost_ticks: u64,
    played_ticks: u64,
    stats: PlayoutStats,
}

impl Playout {
    /// Playout through `decoder`.
    pub fn new(decoder: Box<dyn Decoder>) -> Self {
        Self {
            decoder,
            store: Store::new(),
            delays: Delays::new(),
            losses: LossWatch::default(),
            state: State::Idle,
            next: None,
            frame_ticks: 8,
            since_change: CALM,
            jump: None,
            frame: Box::new([0; MAX_FRAME_SAMPLES]),
            lost_ticks: 0,
            played_ticks: 0,
            stats: PlayoutStats::default(),
        }
    }

    /// Takes in the media payload with sequence number `seq` that came at `arrived_us`, in microseconds of the same
    /// clock as [`Playout::pull`].
    pub fn insert(&mut self, seq: u32, payload: &[u8], arrived_us: u64) {
        if OpusPacket::parse(payload).is_err() || !self.belongs(seq) {
            self.stats.refused += 1;
            return;
        }
        if self.next.is_some_and(|next| seq < next) {
            self.stats.received += 1;
            self.stats.late += 1;
            self.delays.record(seq, arrived_us);
            return;
        }
        match self.store.insert(seq, payload, arrived_us) {
            Ok(()) => {
                self.stats.received += 1;
                self.delays.record(seq, arrived_us);
            }
            Err(Refused::Duplicate) => self.stats.duplicates += 1,
            Err(Refused::Full) => self.stats.refused += 1,
        }
    }

    /// Writes the sound that follows to `out` and gives its length in samples, at least one.
    ///
    /// `due_us` is the moment at which the sound card's queue fell to its margin: it does not matter if the caller is
    /// a little late.
    pub fn pull(&mut self, out: &mut [i16; MAX_CHUNK], due_us: u64) -> usize {
        let due = i64::try_from(due_us).unwrap_or(i64::MAX);
        let samples = match self.state {
            State::Idle => self.pull_idle(out, due),
            State::Playing { guessed } => self.pull_playing(out, due, guessed),
        };
        self.since_change = self.since_change.saturating_add(samples);
        samples.max(1)
    }

    /// The figures so far.
    pub fn stats(&self) -> PlayoutStats {
        let frame = u64::from(self.frame_ticks.max(1));
        // Less than a whole frame is no lost packet, but a sound card that started in between.
        let lost = self.lost_ticks / frame;
        let all = lost + self.played_ticks / frame;
        PlayoutStats {
            lost,
            concealed: lost.saturating_sub(self.stats.recovered),
            jitter_us: self.delays.jitter_us(),
            buffered_us: self.buffered_us(),
            target_us: self.delays.target_us() + self.redundancy_wait_us() as u32,
            loss_permille: (lost * 1_000).checked_div(all).unwrap_or(0) as u16,
            ..self.stats
        }
    }

    fn buffered_us(&self) -> u32 {
        let (Some(last), Some((first, _))) = (self.store.last_seq(), self.store.first()) else { return 0 };
        let ticks = last.saturating_sub(first).saturating_add(u32::from(self.frame_ticks));
        ticks.saturating_mul(TICK_MICROS as u32)
    }

    /// Whether `seq` is of the stream being played. Two in a row from elsewhere make that the stream: after a hold,
    /// or when the peer's daemon started anew.
    fn belongs(&mut self, seq: u32) -> bool {
        let Some(next) = self.next else { return true };
        let near = |other: u32| (i64::from(seq) - i64::from(other)).abs() <= HORIZON;
        let resumed = self.state == State::Idle && seq > next;
        if near(next) || resumed && self.store.first().is_none_or(|(first, _)| near(first)) {
            self.jump = None;
            return true;
        }
        if !self.jump.replace(seq).is_some_and(near) {
            return false;
        }
        self.jump = None;
        self.store.clear();
        self.state = State::Idle;
        self.next = Some(seq);
        true
    }

    fn pull_idle(&mut self, out: &mut [i16; MAX_CHUNK], due: i64) -> usize {
        let Some((first, _)) = self.store.first() else { return silence(out, SHORT_CHUNK) };
        let early = samples_of(self.ready_us(first) - due);
        if early > 0 {
            return silence(out, usize::try_from(early).unwrap_or(SHORT_CHUNK).min(SHORT_CHUNK));
        }
        self.start(out, due)
    }

    /// Leaves silence at exactly the right place: what is overdue of the first frames is left out.
    fn start(&mut self, out: &mut [i16; MAX_CHUNK], due: i64) -> usize {
        let Some((first, _)) = self.store.first() else { return silence(out, SHORT_CHUNK) };
        self.skip_pause_before(first);
        self.next = Some(first);
        self.state = State::Playing { guessed: 0 };
        let samples = self.decode_first(due);
        let overdue = usize::try_from(samples_of(due - self.ready_us(first))).unwrap_or(0);
        if overdue >= samples && self.store.first().is_some() {
            return self.start(out, due);
        }
        let skipped = overdue.min(samples.saturating_sub(TICK_SAMPLES));
        let kept = self.frame.get(skipped..samples).unwrap_or_default();
        let written = copy(kept, out);
        fade_in(out);
        written
    }

    /// A gap of up to two seconds while there was silence is loss; a longer one is a pause of the sender.
    fn skip_pause_before(&mut self, first: u32) {
        let gap = self.next.map_or(0, |next| i64::from(first) - i64::from(next));
        if (1..=HORIZON).contains(&gap) {
            self.lost_ticks += gap.unsigned_abs();
        }
    }

    fn pull_playing(&mut self, out: &mut [i16; MAX_CHUNK], due: i64, guessed: usize) -> usize {
        let next = self.next.unwrap_or_default();
        let Some((first, slot)) = self.store.first() else { return self.hold(out, guessed) };
        let missing = ticks_between(next, first);
        let covered = u32::try_from(guessed / TICK_SAMPLES).unwrap_or(u32::MAX);
        if missing == 0 {
            return self.play(out, due);
        }
        let redundancy = OpusPacket::parse(slot.payload()).ok().filter(OpusPacket::has_redundancy);
        let redundant_ticks = redundancy.map_or(0, |packet| u32::from(packet.ticks()));
        let open = missing.saturating_sub(covered);
        if open == 0 {
            // What was guessed while waiting stands for what turns out to be lost.
            self.lose(missing);
            self.next = Some(first);
            return self.play(out, due);
        }
        self.lose(missing - open);
        self.next = Some(next + (missing - open));
        if open == redundant_ticks {
            return self.recover(out, open);
        }
        let ticks = (open - redundant_ticks.min(open - 1)).min(u32::from(self.frame_ticks)).max(1);
        self.bridge(out, ticks, guessed)
    }

    /// Plays the first packet, whose turn it is.
    fn play(&mut self, out: &mut [i16; MAX_CHUNK], due: i64) -> usize {
        let Some((seq, _)) = self.store.first() else { return silence(out, SHORT_CHUNK) };
        let overdue = samples_of(due - self.ready_us(seq));
        let samples = self.decode_first(due);
        self.state = State::Playing { guessed: 0 };
        self.adjust(out, samples, overdue)
    }

    /// Decodes the first packet into `self.frame`, forgets it and moves on in the stream. A packet the decoder cannot
    /// use is a lost one.
    fn decode_first(&mut self, due: i64) -> usize {
        let Some((seq, slot)) = self.store.first() else { return 0 };
        let mut samples = usize::from(self.frame_ticks) * TICK_SAMPLES;
        let mut good = false;
        if let Ok(packet) = OpusPacket::parse(slot.payload()) {
            samples = packet.samples();
            self.frame_ticks = packet.ticks();
            self.losses.frame(false, Some(packet.has_redundancy()));
            good = self.decoder.decode(&packet, &mut self.frame[..]).is_ok();
        }
        let waited = due.saturating_sub(i64::try_from(slot.arrived_us).unwrap_or(i64::MAX)).clamp(0, 1_000_000);
        self.stats.waited_us = (self.stats.waited_us * 15 + waited as u32) / 16;
        self.store.drop_first();
        self.next = Some(seq.saturating_add(u32::from(self.frame_ticks)));
        if good {
            self.played_ticks += u64::from(self.frame_ticks);
        } else {
            self.lose(u32::from(self.frame_ticks));
            self.guess(samples);
        }
        samples
    }

    /// Hands out the frame, shorter when its turn came too late and longer when too early.
    fn adjust(&mut self, out: &mut [i16; MAX_CHUNK], samples: usize, overdue: i64) -> usize {
        let frame = self.frame.get(..samples).unwrap_or_default();
        let amount = usize::try_from(overdue.unsigned_abs()).unwrap_or(usize::MAX);
        let spacing = if overdue.abs() > FAR_OFF { HURRY } else { CALM };
        let calm = self.since_change >= spacing;
        let most = match overdue {
            EARLY_BAND..PAUSE_BAND => return copy(frame, out),
            SPEECH_BAND.. if calm => amount,
            ..EARLY_BAND if calm => amount.max(LONGEST_PERIOD),
            _ => 0,
        };
        let Some(splice) = stretch::plan(frame, amount, most) else { return copy(frame, out) };
        self.since_change = 0;
        if overdue > 0 {
            self.stats.shortened += splice.lag() as u64;
            stretch::shorten(frame, splice, &mut out[..])
        } else {
            self.stats.stretched += splice.lag() as u64;
            stretch::lengthen(frame, splice, &mut out[..])
        }
    }

    /// Plays the lost frame of `ticks` before the first packet from the redundancy in that packet.
    fn recover(&mut self, out: &mut [i16; MAX_CHUNK], ticks: u32) -> usize {
        let samples = ticks as usize * TICK_SAMPLES;
        let packet = self.store.first().and_then(|(_, slot)| OpusPacket::parse(slot.payload()).ok());
        let lost = self.frame.get_mut(..samples).unwrap_or_default();
        let recovered = packet.is_some_and(|packet| self.decoder.decode_redundancy(&packet, lost).is_ok());
        self.stats.recovered += u64::from(recovered);
        self.lose(ticks);
        self.move_on(ticks);
        self.state = State::Playing { guessed: 0 };
        if !recovered {
            self.guess(samples);
        }
        copy(self.frame.get(..samples).unwrap_or_default(), out)
    }

    /// Guesses `ticks` of what is lost; there is more behind it.
    fn bridge(&mut self, out: &mut [i16; MAX_CHUNK], ticks: u32, guessed: usize) -> usize {
        self.lose(ticks);
        self.move_on(ticks);
        let samples = ticks as usize * TICK_SAMPLES;
        self.guess_faded(out, samples, guessed % TICK_SAMPLES);
        samples
    }

    /// Nothing there: guesses on without moving on in the stream, for the packet may only be late. In the end falls
    /// silent, and then time does pass.
    fn hold(&mut self, out: &mut [i16; MAX_CHUNK], guessed: usize) -> usize {
        if guessed >= FADE_TO {
            self.move_on((guessed / TICK_SAMPLES) as u32);
            self.state = State::Idle;
            return silence(out, SHORT_CHUNK);
        }
        self.guess_faded(out, SHORT_CHUNK, guessed);
        self.state = State::Playing { guessed: guessed + SHORT_CHUNK };
        SHORT_CHUNK
    }

    fn guess_faded(&mut self, out: &mut [i16; MAX_CHUNK], samples: usize, guessed: usize) {
        self.guess(samples);
        copy(self.frame.get(..samples).unwrap_or_default(), out);
        for (place, sample) in out.iter_mut().take(samples).enumerate() {
            let left = FADE_TO.saturating_sub(guessed + place).min(FADE_TO - FADE_FROM);
            *sample = (i32::from(*sample) * left as i32 / (FADE_TO - FADE_FROM) as i32) as i16;
        }
    }

    /// Fills the first `samples` of `self.frame` with the decoder's guess, or silence if it refuses.
    fn guess(&mut self, samples: usize) {
        self.stats.guessed_samples += samples as u64;
        let place = self.frame.get_mut(..samples).unwrap_or_default();
        if self.decoder.conceal(place).is_err() {
            place.fill(0);
        }
    }

    fn lose(&mut self, ticks: u32) {
        self.lost_ticks += u64::from(ticks);
        for _ in 0..ticks / u32::from(self.frame_ticks.max(1)) {
            self.losses.frame(true, None);
        }
    }

    fn move_on(&mut self, ticks: u32) {
        self.next = self.next.map(|next| next.saturating_add(ticks));
    }

    fn ready_us(&self, seq: u32) -> i64 {
        self.delays.ready_us(seq) + self.redundancy_wait_us()
    }

    /// A lost frame can only be recovered if the packet after it is awaited.
    fn redundancy_wait_us(&self) -> i64 {
        if self.losses.waiting { i64::from(self.frame_ticks) * TICK_MICROS as i64 } else { 0 }
    }
}

/// Microseconds in samples; negative ones too.
fn samples_of(micros: i64) -> i64 {
    micros.saturating_mul(i64::from(SAMPLE_RATE / 1_000)) / 1_000
}

fn ticks_between(from: u32, to: u32) -> u32 {
    to.saturating_sub(from)
}

fn silence(out: &mut [i16; MAX_CHUNK], samples: usize) -> usize {
    out.iter_mut().take(samples).for_each(|sample| *sample = 0);
    samples
}

fn copy(from: &[i16], out: &mut [i16; MAX_CHUNK]) -> usize {
    out.iter_mut().zip(from).for_each(|(place, sample)| *place = *sample);
    from.len().min(MAX_CHUNK)
}

fn fade_in(out: &mut [i16; MAX_CHUNK]) {
    for (place, sample) in out.iter_mut().take(FADE_IN).enumerate() {
        *sample = (i32::from(*sample) * place as i32 / FADE_IN as i32) as i16;
    }
}
