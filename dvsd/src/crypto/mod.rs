// SPDX-License-Identifier: GPL-3.0-or-later
//! All cryptography, and all of OpenSSL.
