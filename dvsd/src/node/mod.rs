// SPDX-License-Identifier: GPL-3.0-or-later
//! The only place that knows all layers and lets them speak to each other.
