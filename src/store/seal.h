// Authenticated encryption of stored bytes: AES-256-GCM with an extended nonce.
//
// Plain AES-GCM has a nonce of 96 bits; drawn at random, one key is good for 2^32 messages (NIST SP
// 800-38D, 8.3), which a busy ledger writes within weeks, and a counter would have to survive every
// crash and every copy of the folder. So the nonce has 192 bits: the first 96 derive a key for this
// message (SP 800-108 in counter mode with CMAC, two AES blocks), with which the last 96 are
// AES-256-GCM's. That is XAES-256-GCM (c2sp.org/XAES-256-GCM): random nonces are safe for 2^80
// messages, so a key is never used up.
//
// What is associated must be given again to open: bytes that were sealed for one place do not open
// in another. Keys are wiped when they go. A Sealer belongs to one thread.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace stayd {

class SecretKey {
 public:
  static constexpr std::size_t kBytes = 32;

  SecretKey() = default;
  explicit SecretKey(std::string_view bytes);  // exactly kBytes
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  ~SecretKey();
  static SecretKey random();

  std::string_view bytes() const;
  const unsigned char* data() const { return bytes_.data(); }
  friend bool operator==(const SecretKey&, const SecretKey&) = default;

 private:
  std::array<unsigned char, kBytes> bytes_{};
};

// HMAC-SHA256 of the parts as one text.
std::string hmac_sha256(std::string_view key, std::initializer_list<std::string_view> parts);

class Sealer {
 public:
  static constexpr std::size_t kNonceBytes = 24;
  static constexpr std::size_t kTagBytes = 16;
  static constexpr std::size_t kOverhead = kNonceBytes + kTagBytes;
  using Associated = std::initializer_list<std::string_view>;

  explicit Sealer(const SecretKey& key);

  // Appends nonce, ciphertext and tag.
  void seal(std::string_view plain, Associated associated, std::string& out);
  // nullopt: another key, another place, or changed bytes.
  std::optional<std::string> open(std::string_view sealed, Associated associated);

  // For known answers only: a nonce must never be given twice.
  void seal_with(std::string_view nonce, std::string_view plain, Associated associated,
                 std::string& out);

 private:
  struct Free {
    void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  using Cipher = std::unique_ptr<EVP_CIPHER, Free>;
  using Context = std::unique_ptr<EVP_CIPHER_CTX, Free>;

  std::string_view next_nonce();
  SecretKey key_of(std::string_view nonce);

  Cipher block_cipher_, message_cipher_;
  Context block_, sealing_, opening_;
  std::array<unsigned char, 16> subkey_{};  // CMAC's K1
  std::array<char, 40 * kNonceBytes> random_{};
  std::size_t random_used_ = sizeof(random_);
};

}  // namespace stayd
