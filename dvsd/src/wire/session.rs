// SPDX-License-Identifier: GPL-3.0-or-later
//! Layout of session packets: first byte, sequence number, tag, ciphertext.
