// SPDX-License-Identifier: GPL-3.0-or-later
//! Whole calls between audio threads, joined without a network.
