// SPDX-License-Identifier: GPL-3.0-or-later
//! Layouts of HS_INIT, HS_RESP, HS_AUTH, HS_COOKIE and HS_VERSION.
