// SPDX-License-Identifier: GPL-3.0-or-later
//! What is said to the terminal beside the drawing, as bytes: bell, notification, title, clipboard.

/// Rings.
pub(super) const BELL: &str = "\x07";
/// Puts the window's title onto the terminal's own stack, and takes it back from there (xterm).
pub(super) const SAVE_TITLE: &str = "\x1b[22;0t";
/// Counterpart of [`SAVE_TITLE`].
pub(super) const RESTORE_TITLE: &str = "\x1b[23;0t";

/// Names the window (OSC 2).
pub(super) fn title(text: &str) -> String {
    format!("\x1b]2;{}\x07", plain(text))
}

/// Asks for a desktop notification, in both dialects that exist (OSC 777 and OSC 9).
pub(super) fn notification(title: &str, body: &str, tmux: bool) -> String {
    // The semicolon separates heading and text.
    let (title, body) = (plain(title).replace(';', ","), plain(body).replace(';', ","));
    let urxvt = format!("\x1b]777;notify;{title};{body}\x07");
    let iterm = format!("\x1b]9;{title}: {body}\x07");
    outward(&urxvt, tmux) + &outward(&iterm, tmux)
}

/// Puts `text` into the clipboard (OSC 52). tmux may take it itself or pass it on, depending on how it is set up.
pub(super) fn clipboard(text: &str, tmux: bool) -> String {
    let copy = format!("\x1b]52;c;{}\x07", base64(text.as_bytes()));
    if tmux { format!("{copy}{}", outward(&copy, tmux)) } else { copy }
}

/// `sequence`, wrapped so that tmux passes it to the terminal around it.
fn outward(sequence: &str, tmux: bool) -> String {
    if tmux { format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b")) } else { sequence.to_owned() }
}

/// `text` without anything that would end a sequence early.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// RFC 4648 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let value = group.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let six = value >> (18 - 6 * digit) & 63;
            let shown = DIGITS.get(six).filter(|_| digit <= group.len()).copied().unwrap_or(b'=');
            text.push(char::from(shown));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let cases = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let coded = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        assert_eq!(cases.map(|case| base64(case.as_bytes())), coded);
    }

    #[test]
    fn a_name_cannot_break_out_of_a_title_or_a_notification() {
        assert_eq!(title("Eve\x07\x1b]52;c;ZXZpbA==\x07"), "\x1b]2;Eve]52;c;ZXZpbA==\x07");
        let said = notification("Incoming call", "Eve;\x1b", false);
        assert_eq!(said, "\x1b]777;notify;Incoming call;Eve,\x07\x1b]9;Incoming call: Eve,\x07");
    }

    #[test]
    fn tmux_gets_its_wrapping_with_doubled_escapes() {
        assert_eq!(outward("\x1b]9;x\x07", true), "\x1bPtmux;\x1b\x1b]9;x\x07\x1b\\");
        assert!(clipboard("dvs1", true).starts_with("\x1b]52;c;ZHZzMQ==\x07\x1bPtmux;"));
        assert_eq!(clipboard("dvs1", false), "\x1b]52;c;ZHZzMQ==\x07");
    }
}
