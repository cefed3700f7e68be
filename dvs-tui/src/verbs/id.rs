// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui id`

use std::path::PathBuf;

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

use super::output::Output;
use crate::attach::Line;
use crate::cli::IdForm;
use crate::failed::Failed;

/// Shows who we are.
pub(super) fn run(form: &IdForm, directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (_line, snapshot) = Line::open(directory)?;
    let picture = if form.qr { qr(&snapshot.identity.id)? } else { String::new() };
    out.show(&snapshot.identity, |identity| {
        if form.hex {
            identity.hex.clone()
        } else if form.invite {
            identity.invite.clone()
        } else if form.qr {
            format!("{picture}\n{}", identity.id)
        } else {
            identity.id.clone()
        }
    })
}

/// Upper case makes a smaller code, and means the same.
fn qr(id: &str) -> Result<String, Failed> {
    let code = QrCode::with_error_correction_level(id.to_uppercase(), EcLevel::L);
    let code = code.map_err(|error| Failed::internal(error.to_string()))?;
    // Terminals are mostly dark: there the light modules are the ones to draw.
    Ok(code.render::<Dense1x2>().dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).quiet_zone(true).build())
}
