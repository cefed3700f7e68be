// SPDX-License-Identifier: GPL-3.0-or-later
//! Which sound device a trouble is about: without one, nobody is heard though the call stands.

use dvs_proto::message::Audio;

/// What is missing of the sound set-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// We are not heard.
    pub(crate) microphone: bool,
    /// We hear nothing.
    pub(crate) loudspeaker: bool,
}

impl Missing {
    /// As the trouble's text names it; a trouble that names no device concerns both.
    pub(crate) fn of(audio: &Audio) -> Self {
        let Some(trouble) = &audio.trouble else { return Self::default() };
        let (microphone, loudspeaker) = (trouble.contains("capture device"), trouble.contains("playback device"));
        let neither = !microphone && !loudspeaker;
        Self { microphone: microphone || neither, loudspeaker: loudspeaker || neither }
    }

    /// Whether anything is.
    pub(crate) fn any(self) -> bool {
        self.microphone || self.loudspeaker
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(trouble: &str) -> (bool, bool) {
        let missing = Missing::of(&Audio { trouble: Some(trouble.into()), ..Audio::default() });
        (missing.microphone, missing.loudspeaker)
    }

    #[test]
    fn the_trouble_names_the_device_that_is_missing() {
        assert_eq!(of("capture device 'x' not found"), (true, false));
        assert_eq!(of("playback device 'x' is busy"), (false, true));
        assert_eq!(of("capture device 'x' not found; playback device 'x' not found"), (true, true));
        assert_eq!(of("no sound: out of threads"), (true, true));
        assert!(!Missing::of(&Audio::default()).any());
    }
}
