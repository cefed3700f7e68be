// SPDX-License-Identifier: GPL-3.0-or-later
//! The speech codec behind two small traits, and Opus as their one implementation.

use audiopus::coder::{Decoder as RawDecoder, Encoder as RawEncoder};
use audiopus::packet::Packet;
use audiopus::{Application, Bandwidth, Bitrate, Channels, MutSignals, SampleRate};
use thiserror::Error;

use super::packet::{self, BadPacket, OpusPacket};
use super::{MAX_FRAME_SAMPLES, MAX_PACKET, SAMPLE_RATE, TICK_SAMPLES};

/// What the codec refused to do. A decoder's error counts as a lost frame, never as the end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CodecError {
    /// The packet is not one the decoder may see.
    #[error(transparent)]
    Packet(#[from] BadPacket),
    /// A buffer is too small, or the number of samples is no frame.
    #[error("wrong number of samples or bytes for a frame")]
    Size,
    /// libopus refused.
    #[error("Opus reported an error")]
    Opus,
    /// A setting outside its range.
    #[error("codec setting out of range")]
    Setting,
}

impl From<audiopus::Error> for CodecError {
    fn from(_: audiopus::Error) -> Self {
        Self::Opus
    }
}

/// What the encoder gives weight to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Clearest speech at a given rate; 6.5 ms of algorithmic delay.
    #[default]
    Voice,
    /// The transform layer alone; 2.5 ms of algorithmic delay, no redundancy, about half a PESQ point less at 32 kbit/s.
    LowDelay,
}

/// How speech is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderSettings {
    /// What the encoder gives weight to.
    pub mode: Mode,
    /// Frame duration in ticks of 2.5 ms: 2, 4 or 8; in voice mode also 16 or 24, which limits the bandwidth to 8 kHz.
    pub frame_ticks: u8,
    /// Constant bit rate in bit/s, 6 000 to 510 000.
    pub bitrate: u32,
    /// 0 to 10; 5 costs half of 10 for 0.05 PESQ.
    pub complexity: u8,
}

impl Default for EncoderSettings {
    fn default() -> Self {
        Self { mode: Mode::Voice, frame_ticks: 8, bitrate: 32_000, complexity: 5 }
    }
}

impl EncoderSettings {
    /// Samples in a frame.
    pub fn frame_samples(&self) -> usize {
        usize::from(self.frame_ticks) * TICK_SAMPLES
    }

    /// The size of every packet, in bytes: the rate is constant.
    pub fn packet_bytes(&self) -> usize {
        self.frame_samples() * self.bitrate as usize / (8 * SAMPLE_RATE as usize)
    }

    fn check(&self) -> Result<(), CodecError> {
        let known = match self.mode {
            Mode::Voice => matches!(self.frame_ticks, 2 | 4 | 8 | 16 | 24),
            Mode::LowDelay => matches!(self.frame_ticks, 2 | 4 | 8),
        };
        if known && (6_000..=510_000).contains(&self.bitrate) && self.packet_bytes() < MAX_PACKET {
            Ok(())
        } else {
            Err(CodecError::Setting)
        }
    }
}

/// Turns frames of samples into packets.
pub trait Encoder: Send {
    /// Encodes exactly one frame of `pcm` into `out` and gives the packet's length in bytes.
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError>;
    /// Tells the encoder which share of packets gets lost, in percent: it spends bits on redundancy accordingly.
    fn set_expected_loss(&mut self, percent: u8);
    /// Changes the constant bit rate, in bit/s.
    fn set_bitrate(&mut self, bitrate: u32) -> Result<(), CodecError>;
    /// Samples between a sound going in and coming out of the decoder, beyond the frame itself.
    fn lookahead(&self) -> usize;
}

/// Turns packets into samples. It is never reset: its state carries over every gap.
pub trait Decoder: Send {
    /// Decodes a packet and gives the number of samples, which is the packet's duration.
    fn decode(&mut self, packet: &OpusPacket<'_>, out: &mut [i16]) -> Result<usize, CodecError>;
    /// Decodes the frame lost right before `next` from the redundancy in `next`; `out` is exactly that frame.
    fn decode_redundancy(&mut self, next: &OpusPacket<'_>, out: &mut [i16]) -> Result<(), CodecError>;
    /// Fills `out` (a multiple of 2.5 ms, at most 60 ms) with a guess at what would have followed.
    fn conceal(&mut self, out: &mut [i16]) -> Result<(), CodecError>;
}

/// Opus encoder: mono, 48 kHz, constant rate, in-band redundancy on, no discontinuous transmission.
#[derive(Debug)]
pub struct OpusEncoder {
    raw: RawEncoder,
    settings: EncoderSettings,
    lookahead: usize,
}

impl OpusEncoder {
    /// An encoder with `settings`.
    pub fn new(settings: EncoderSettings) -> Result<Self, CodecError> {
        settings.check()?;
        let application = match settings.mode {
            Mode::Voice => Application::Voip,
            Mode::LowDelay => Application::LowDelay,
        };
        let mut raw = RawEncoder::new(SampleRate::Hz48000, Channels::Mono, application)?;
        raw.set_complexity(settings.complexity.min(10))?;
        raw.set_vbr(false)?;
        raw.set_dtx(false)?;
        raw.set_inband_fec(settings.mode == Mode::Voice)?;
        if settings.frame_ticks > 8 {
            // Above 8 kHz of bandwidth libopus makes long packets of several frames.
            raw.set_max_bandwidth(Bandwidth::Wideband)?;
        }
        let lookahead = raw.lookahead()? as usize;
        let mut encoder = Self { raw, settings, lookahead };
        encoder.set_bitrate(settings.bitrate)?;
        Ok(encoder)
    }

    /// The settings in force.
    pub fn settings(&self) -> &EncoderSettings {
        &self.settings
    }
}

impl Encoder for OpusEncoder {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        if pcm.len() != self.settings.frame_samples() {
            return Err(CodecError::Size);
        }
        let size = self.settings.packet_bytes();
        let out = out.get_mut(..size).ok_or(CodecError::Size)?;
        let length = self.raw.encode(pcm, &mut *out)?;
        Ok(packet::fill(out, length, size)?)
    }

    fn set_expected_loss(&mut self, percent: u8) {
        let accepted = self.raw.set_packet_loss_perc(percent.min(100));
        debug_assert!(accepted.is_ok(), "libopus takes 0 to 100");
    }

    fn set_bitrate(&mut self, bitrate: u32) -> Result<(), CodecError> {
        let settings = EncoderSettings { bitrate, ..self.settings };
        settings.check()?;
        let value = i32::try_from(bitrate).map_err(|_| CodecError::Setting)?;
        self.raw.set_bitrate(Bitrate::BitsPerSecond(value))?;
        self.settings = settings;
        Ok(())
    }

    fn lookahead(&self) -> usize {
        self.lookahead
    }
}

/// Opus decoder: mono, 48 kHz.
#[derive(Debug)]
pub struct OpusDecoder {
    raw: RawDecoder,
}

impl OpusDecoder {
    /// A decoder that has heard nothing yet.
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self { raw: RawDecoder::new(SampleRate::Hz48000, Channels::Mono)? })
    }

    fn run(&mut self, packet: Option<&OpusPacket<'_>>, out: &mut [i16], redundancy: bool) -> Result<usize, CodecError> {
        let packet = packet.map(|packet| Packet::try_from(packet.bytes())).transpose()?;
        Ok(self.raw.decode(packet, MutSignals::try_from(out)?, redundancy)?)
    }
}

impl Decoder for OpusDecoder {
    fn decode(&mut self, packet: &OpusPacket<'_>, out: &mut [i16]) -> Result<usize, CodecError> {
        let out = out.get_mut(..packet.samples()).ok_or(CodecError::Size)?;
        let samples = self.run(Some(packet), out, false)?;
        if samples == packet.samples() { Ok(samples) } else { Err(CodecError::Size) }
    }

    fn decode_redundancy(&mut self, next: &OpusPacket<'_>, out: &mut [i16]) -> Result<(), CodecError> {
        check_gap(out)?;
        self.run(Some(next), out, true).map(|_| ())
    }

    fn conceal(&mut self, out: &mut [i16]) -> Result<(), CodecError> {
        check_gap(out)?;
        self.run(None, out, false).map(|_| ())
    }
}

fn check_gap(out: &[i16]) -> Result<(), CodecError> {
    let whole = !out.is_empty() && out.len().is_multiple_of(TICK_SAMPLES) && out.len() <= MAX_FRAME_SAMPLES;
    if whole { Ok(()) } else { Err(CodecError::Size) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// A voice-like buzz of 140 Hz in syllables of 280 ms with pauses of 120 ms.
    fn voice(samples: usize) -> Vec<i16> {
        let wave = |t: f64| (1..20).map(|k| (t * 140.0 * f64::from(k)).sin() / f64::from(k)).sum::<f64>();
        let loudness = |i: usize| if i % 19_200 < 13_440 { 4_000.0 } else { 40.0 };
        (0..samples).map(|i| (loudness(i) * wave(i as f64 * std::f64::consts::TAU / 48_000.0)) as i16).collect()
    }

    fn packets(settings: EncoderSettings, loss: u8, count: usize) -> Vec<Vec<u8>> {
        let mut encoder = OpusEncoder::new(settings).unwrap();
        encoder.set_expected_loss(loss);
        let encode = |pcm: &[i16]| {
            let mut out = [0; MAX_PACKET];
            let length = encoder.encode(pcm, &mut out).unwrap();
            out[..length].to_vec()
        };
        voice(settings.frame_samples() * count).chunks(settings.frame_samples()).map(encode).collect()
    }

    fn energy(samples: &[i16]) -> f64 {
        crate::media::level::mean_square(samples)
    }

    #[test]
    fn every_default_frame_is_exactly_eighty_bytes() {
        for loss in [0, 5, 20] {
            assert!(packets(EncoderSettings::default(), loss, 50).iter().all(|packet| packet.len() == 80));
        }
        let mut encoder = OpusEncoder::new(EncoderSettings::default()).unwrap();
        assert_eq!(encoder.encode(&[0; 960], &mut [0; 80]), Ok(80), "also silence");
    }

    #[test]
    fn every_duration_and_rate_round_trips() {
        let rates = [8_000, 16_000, 24_000, 32_000, 64_000];
        for (frame_ticks, bitrate) in [2, 4, 8, 16, 24].into_iter().flat_map(|ticks| rates.map(|rate| (ticks, rate))) {
            let settings = EncoderSettings { frame_ticks, bitrate, ..EncoderSettings::default() };
            let mut decoder = OpusDecoder::new().unwrap();
            for bytes in packets(settings, 0, 20) {
                let packet = OpusPacket::parse(&bytes).unwrap();
                assert_eq!(packet.ticks(), frame_ticks);
                assert!(bytes.len() + 2 >= settings.packet_bytes());
                assert_eq!(decoder.decode(&packet, &mut [0; MAX_FRAME_SAMPLES]), Ok(settings.frame_samples()));
            }
        }
    }

    #[test]
    fn low_delay_mode_looks_ahead_less() {
        let low = EncoderSettings { mode: Mode::LowDelay, ..EncoderSettings::default() };
        assert_eq!(OpusEncoder::new(low).unwrap().lookahead(), 120);
        assert_eq!(OpusEncoder::new(EncoderSettings::default()).unwrap().lookahead(), 312);
    }

    #[test]
    fn a_lost_frame_comes_back_from_the_next_packets_redundancy() {
        let packets = packets(EncoderSettings::default(), 20, 40);
        let mut decoder = OpusDecoder::new().unwrap();
        let mut out = [0; 960];
        for bytes in &packets[..30] {
            decoder.decode(&OpusPacket::parse(bytes).unwrap(), &mut out).unwrap();
        }
        let whole = energy(&out);
        let next = OpusPacket::parse(&packets[31]).unwrap();
        assert!(next.has_redundancy(), "twenty percent announced loss buys redundancy");
        decoder.decode_redundancy(&next, &mut out).unwrap();
        assert!(energy(&out) > whole / 4.0, "{} of {whole}", energy(&out));
        assert_eq!(decoder.decode(&next, &mut out), Ok(960));
    }

    #[test]
    fn a_gap_is_concealed_by_something_like_the_sound_before() {
        let mut decoder = OpusDecoder::new().unwrap();
        let mut out = [0; 960];
        for bytes in packets(EncoderSettings::default(), 0, 30) {
            decoder.decode(&OpusPacket::parse(&bytes).unwrap(), &mut out).unwrap();
        }
        let whole = energy(&out);
        decoder.conceal(&mut out[..480]).unwrap();
        assert!(energy(&out[..480]) > whole / 4.0);
    }

    #[test]
    fn buffers_of_a_wrong_size_are_refused() {
        let mut encoder = OpusEncoder::new(EncoderSettings::default()).unwrap();
        assert_eq!(encoder.encode(&[0; 959], &mut [0; 80]), Err(CodecError::Size));
        assert_eq!(encoder.encode(&[0; 960], &mut [0; 79]), Err(CodecError::Size));
        let mut decoder = OpusDecoder::new().unwrap();
        assert_eq!(decoder.conceal(&mut []), Err(CodecError::Size));
        assert_eq!(decoder.conceal(&mut [0; 121]), Err(CodecError::Size));
    }

    #[test]
    fn settings_outside_their_range_are_refused() {
        let base = EncoderSettings::default();
        for bad in [
            EncoderSettings { frame_ticks: 3, ..base },
            EncoderSettings { bitrate: 100, ..base },
            EncoderSettings { bitrate: 600_000, ..base },
        ] {
            assert_eq!(OpusEncoder::new(bad).err(), Some(CodecError::Setting));
        }
    }

    #[test]
    fn f20_garbage_never_panics_and_never_ends_the_decoder() {
        let mut random = Random::seeded(20);
        let mut decoder = OpusDecoder::new().unwrap();
        let mut out = [0; MAX_FRAME_SAMPLES];
        for _ in 0..3_000 {
            let mut bytes = vec![0; random.below(300) as usize + 1];
            random.fill(&mut bytes);
            bytes[0] &= !0b11;
            let packet = OpusPacket::parse(&bytes).unwrap();
            let _ = decoder.decode(&packet, &mut out);
            let _ = decoder.decode_redundancy(&packet, &mut out[..960]);
        }
        let good = &packets(EncoderSettings::default(), 0, 1)[0];
        assert_eq!(decoder.decode(&OpusPacket::parse(good).unwrap(), &mut out), Ok(960));
    }
}
