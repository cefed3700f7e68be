// SPDX-License-Identifier: GPL-3.0-or-later
//! A sound level as a bar.

use crate::ui::theme::Theme;

/// The level at the left end, in tenths of a decibel below full scale.
const FLOOR: i32 = -600;

/// A bar of `columns` for a level in tenths of a decibel below full scale.
pub(crate) fn bar(level: i16, columns: usize, theme: Theme) -> String {
    let above = usize::try_from(i32::from(level).clamp(FLOOR, 0) - FLOOR).unwrap_or(0);
    let range = usize::try_from(-FLOOR).unwrap_or(1);
    let full = (above * columns).div_ceil(range).min(columns);
    theme.symbols.full.repeat(full) + &theme.symbols.empty.repeat(columns - full)
}

/// The same in numbers: `-18 dB`.
pub(crate) fn decibels(level: i16) -> String {
    format!("{:>3} dB", (i32::from(level) - 5) / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASCII: Theme = Theme::new(false, false);

    #[test]
    fn silence_is_empty_and_full_scale_is_full() {
        assert_eq!(bar(-900, 6, ASCII), "......");
        assert_eq!(bar(-300, 6, ASCII), "###...");
        assert_eq!(bar(0, 6, ASCII), "######");
        assert_eq!(bar(100, 6, ASCII), "######");
    }

    #[test]
    fn any_sound_above_the_floor_shows() {
        assert_eq!(bar(-599, 6, ASCII), "#.....");
        assert_eq!(bar(-600, 6, ASCII), "......");
    }

    #[test]
    fn decibels_are_rounded() {
        assert_eq!(decibels(-184), "-18 dB");
        assert_eq!(decibels(-900), "-90 dB");
        assert_eq!(decibels(0), "  0 dB");
    }
}
