// SPDX-License-Identifier: GPL-3.0-or-later
//! What the call thread knows of a sound device, and the name of a back-end as an administrator writes it.

use core::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use libc::pollfd;
use thiserror::Error;

/// Descriptors a capture device may want to be polled, at most.
pub(super) const MAX_POLL_FDS: usize = 15;

/// Why a device did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeviceError {
    /// Over- or underrun: [`Playback::recover`] and [`Capture::recover`] go on.
    Xrun,
    /// The device must be closed and opened anew; the system's error number.
    Lost(i32),
}

/// The buffer a device really has, in samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Samples between two wake-ups of the device.
    pub(super) period: usize,
    /// Samples it can hold.
    pub(super) buffer: usize,
}

/// A microphone: 48 kHz, one channel.
pub(super) trait Capture: Send {
    /// Starts sampling from now on.
    fn start(&mut self) -> Result<(), DeviceError>;
    /// Fills in what to poll, [`MAX_POLL_FDS`] at most, and gives how many.
    fn poll_fds(&self, fds: &mut [pollfd]) -> usize;
    /// Takes note of what the poll said.
    fn polled(&mut self, fds: &[pollfd]) -> Result<(), DeviceError>;
    /// Samples captured and not yet read.
    fn available(&mut self) -> Result<usize, DeviceError>;
    /// Reads exactly `samples`, which must be available.
    fn read(&mut self, samples: &mut [i16]) -> Result<(), DeviceError>;
    /// Goes on after an overrun.
    fn recover(&mut self) -> Result<(), DeviceError>;
}

/// A loudspeaker: 48 kHz, one channel. It starts with the first sample written.
pub(super) trait Playback: Send {
    /// Gets ready for the first sample.
    fn start(&mut self) -> Result<(), DeviceError>;
    /// The buffer it has.
    fn layout(&self) -> Layout;
    /// Samples from the last one written to the output.
    fn delay(&mut self) -> Result<usize, DeviceError>;
    /// Writes what fits and gives how much that was.
    fn write(&mut self, samples: &[i16]) -> Result<usize, DeviceError>;
    /// Goes on after an underrun, with an empty queue.
    fn recover(&mut self) -> Result<(), DeviceError>;
}

/// Which kind of sound devices to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Backend {
    /// Sound cards through ALSA.
    #[default]
    Alsa,
    /// A microphone that plays a file, a loudspeaker that records into one.
    Wav {
        /// What is captured; `None` for silence.
        input: Option<PathBuf>,
        /// Where what is played goes; `None` for nowhere.
        output: Option<PathBuf>,
        /// Whether the input starts again at its end; silence follows otherwise.
        repeat: bool,
    },
    /// 440 Hz for the peer; what the peer says goes nowhere.
    Tone,
    /// The microphone hears what the loudspeaker plays: the peer talks to itself.
    Loop {
        /// Where what is played goes as well.
        output: Option<PathBuf>,
    },
    /// Silence both ways.
    None,
}

/// A back-end's name that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "unknown audio back-end {0:?}: use alsa, none, tone, loop, loop:OUT, wav:IN,OUT or wav:IN,OUT,loop (IN or OUT may be empty)"
)]
pub(crate) struct UnknownBackend(String);

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let file = |name: &str| (!name.is_empty()).then(|| PathBuf::from(name));
        let (kind, files) = text.split_once(':').map_or((text, None), |(kind, files)| (kind, Some(files)));
        match (kind, files) {
            ("alsa", None) => Ok(Self::Alsa),
            ("none", None) => Ok(Self::None),
            ("tone", None) => Ok(Self::Tone),
            ("loop", None) => Ok(Self::Loop { output: None }),
            ("loop", Some(output)) => Ok(Self::Loop { output: file(output) }),
            ("wav", Some(files)) => match files.split(',').collect::<Vec<_>>()[..] {
                [input, output] => Ok(Self::Wav { input: file(input), output: file(output), repeat: false }),
                [input, output, "loop"] => Ok(Self::Wav { input: file(input), output: file(output), repeat: true }),
                _ => Err(UnknownBackend(text.to_owned())),
            },
            _ => Err(UnknownBackend(text.to_owned())),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alsa => "alsa",
            Self::Wav { .. } => "wav",
            Self::Tone => "tone",
            Self::Loop { .. } => "loop",
            Self::None => "none",
        })
    }
}

/// Which of the two directions of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// The microphone.
    Capture,
    /// The loudspeaker.
    Playback,
}

impl Direction {
    /// The word for it in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Playback => "playback",
        }
    }

    fn lister(self) -> &'static str {
        match self {
            Self::Capture => "arecord -L",
            Self::Playback => "aplay -L",
        }
    }

    /// What went wrong with the device `name`, and what to do about it.
    pub(super) fn trouble(self, name: &str, errno: i32) -> String {
        let (what, lister) = (self.name(), self.lister());
        match errno {
            libc::ENOENT => format!("{what} device '{name}' not found; list devices with {lister}"),
            libc::ENODEV | libc::ENXIO => {
                format!(
                    "{what} device '{name}' is not plugged in; it is used again when it is (list devices with {lister})"
                )
            }
            libc::EBUSY => {
                format!("{what} device '{name}' is in use by another program; see which with: fuser -v /dev/snd/*")
            }
            libc::EACCES | libc::EPERM => {
                format!("no permission to use {what} device '{name}'; add the daemon's user to the group audio")
            }
            libc::ETIMEDOUT => format!("{what} device '{name}' stands still; it is tried again"),
            libc::EINVAL => {
                format!("{what} device '{name}' cannot do 16 bit at 48000 Hz; try it as 'plug:{name}' or 'default'")
            }
            _ => {
                let reason = std::io::Error::from_raw_os_error(errno);
                format!("{what} device '{name}' failed: {reason}; it is tried again")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> Option<PathBuf> {
        Some(name.into())
    }

    #[test]
    fn every_back_end_has_a_name() {
        let wav = |input, output, repeat| Ok(Backend::Wav { input, output, repeat });
        assert_eq!("alsa".parse(), Ok(Backend::Alsa));
        assert_eq!("none".parse(), Ok(Backend::None));
        assert_eq!("tone".parse(), Ok(Backend::Tone));
        assert_eq!("loop".parse(), Ok(Backend::Loop { output: None }));
        assert_eq!("loop:a.wav".parse(), Ok(Backend::Loop { output: path("a.wav") }));
        assert_eq!("wav:a.wav,b.wav".parse::<Backend>(), wav(path("a.wav"), path("b.wav"), false));
        assert_eq!("wav:a.wav,".parse::<Backend>(), wav(path("a.wav"), None, false));
        assert_eq!("wav:,b.wav".parse::<Backend>(), wav(None, path("b.wav"), false));
        assert_eq!("wav:a.wav,,loop".parse::<Backend>(), wav(path("a.wav"), None, true));
    }

    #[test]
    fn anything_else_is_refused_with_the_list_of_names() {
        for text in ["", "pulse", "alsa:", "wav", "wav:", "wav:a", "wav:a,b,c", "tone:1", "Alsa"] {
            let error = text.parse::<Backend>().unwrap_err().to_string();
            assert!(error.contains("wav:IN,OUT") && error.contains(text), "{error}");
        }
    }

    #[test]
    fn trouble_says_what_to_do() {
        let text = |errno| Direction::Capture.trouble("hw:9", errno);
        assert_eq!(text(libc::ENOENT), "capture device 'hw:9' not found; list devices with arecord -L");
        assert!(text(libc::EBUSY).contains("fuser"));
        assert!(text(libc::EACCES).contains("group audio"));
        assert!(text(libc::EINVAL).contains("plug:hw:9"));
        assert!(text(libc::EIO).contains("Input/output error"));
    }
}
