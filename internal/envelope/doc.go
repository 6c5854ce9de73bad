// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package envelope is the cryptography of keylife: the secret of a key version, the ciphertexts made
// with it, and the sealed form in which it is stored.
//
// It is not a key store and not a policy. It does not know which versions exist, which of them may
// be used, who asks, or where a sealed blob is kept. It draws no chance of its own choice: randomness
// and key wrappers come in by argument.
//
// Invariants:
//
//   - Ciphertexts are Vault Transit's, byte for byte. Keys without derivation take a short path of
//     our own, all others go through keysutil; tests hold both against keysutil and against committed
//     vectors. The nonces of convergent keys with associated data are ours, and Transit reads them.
//   - Under one key no nonce stands for two texts, or for one text under two associated data.
//   - A [Material] never prints. Its bytes leave through [Material.Reveal] only.
//   - A sealed blob opens under the [Binding] it was made for and under no other.
//   - No error holds a secret, a plaintext or a ciphertext, and a refused decryption reads alike for
//     every key type.
//   - Buffers that held secrets are zeroed where Go lets us. The copies inside a cipher's key
//     schedule and inside the strings handed to the caller stay until they are collected.
package envelope
