/*
 * SHA-512/256 (FIPS 180-4, section 6.7) of many messages, four of them side by side in the lanes of AVX2: twice as fast as one after the other.
 * Without a library: scripts/sha512-lanes.ts compiles it, chunk-hashing.ts calls it.
 */
#include <stddef.h>
#include <stdint.h>

#define LANES 4
#define BLOCK 128
/* What is left of a message, and its padding, at most. */
#define TAIL (2 * BLOCK)
#define DIGEST 32

struct registers {
  uint32_t eax, ebx, ecx, edx;
};

static struct registers cpuid(uint32_t leaf) {
  struct registers all;
  __asm__("cpuid" : "=a"(all.eax), "=b"(all.ebx), "=c"(all.ecx), "=d"(all.edx) : "a"(leaf), "c"(0));
  return all;
}

/* Whether the processor has AVX2, and the kernel keeps its registers (Intel SDM, volume 1, section 14.7.1). Compiled for any processor, unlike what follows. */
int sha512_lanes_usable(void) {
  const uint32_t osxsave_and_avx = 3u << 27, avx2 = 1u << 5, xmm_and_ymm = 3u << 1;
  if (cpuid(0).eax < 7 || (cpuid(1).ecx & osxsave_and_avx) != osxsave_and_avx) return 0;
  uint32_t kept, other;
  __asm__("xgetbv" : "=a"(kept), "=d"(other) : "c"(0));
  return (kept & xmm_and_ymm) == xmm_and_ymm && (cpuid(7).ebx & avx2) != 0;
}

#pragma GCC target("avx2")

typedef uint64_t lanes __attribute__((vector_size(8 * LANES)));
typedef uint64_t words __attribute__((vector_size(8 * LANES), aligned(1), may_alias));
typedef uint8_t octets __attribute__((vector_size(8 * LANES)));

/* As the caller has it: an array of them. */
struct message {
  uint64_t address;
  uint64_t length;
};

/* What is before a lane: first the whole blocks of the message where it lies, then the tail. */
struct lane {
  const uint8_t *next;
  size_t blocks;
  size_t tail_blocks;
  size_t number;
  uint8_t tail[TAIL];
};

/* Section 5.3.6.2. */
static const uint64_t INITIAL[8] = {
    0x22312194fc2bf72cULL, 0x9f555fa3c84c64c2ULL, 0x2393b86b6f53b151ULL, 0x963877195940eabdULL,
    0x96283ee2a88effe3ULL, 0xbe5e1e2553863992ULL, 0x2b0199fc2c85b8aaULL, 0x0eb72ddc81c52ca2ULL,
};

/* Section 4.2.3. */
static const uint64_t CONSTANTS[80] = {
    0x428a2f98d728ae22ULL, 0x7137449123ef65cdULL, 0xb5c0fbcfec4d3b2fULL, 0xe9b5dba58189dbbcULL,
    0x3956c25bf348b538ULL, 0x59f111f1b605d019ULL, 0x923f82a4af194f9bULL, 0xab1c5ed5da6d8118ULL,
    0xd807aa98a3030242ULL, 0x12835b0145706fbeULL, 0x243185be4ee4b28cULL, 0x550c7dc3d5ffb4e2ULL,
    0x72be5d74f27b896fULL, 0x80deb1fe3b1696b1ULL, 0x9bdc06a725c71235ULL, 0xc19bf174cf692694ULL,
    0xe49b69c19ef14ad2ULL, 0xefbe4786384f25e3ULL, 0x0fc19dc68b8cd5b5ULL, 0x240ca1cc77ac9c65ULL,
    0x2de92c6f592b0275ULL, 0x4a7484aa6ea6e483ULL, 0x5cb0a9dcbd41fbd4ULL, 0x76f988da831153b5ULL,
    0x983e5152ee66dfabULL, 0xa831c66d2db43210ULL, 0xb00327c898fb213fULL, 0xbf597fc7beef0ee4ULL,
    0xc6e00bf33da88fc2ULL, 0xd5a79147930aa725ULL, 0x06ca6351e003826fULL, 0x142929670a0e6e70ULL,
    0x27b70a8546d22ffcULL, 0x2e1b21385c26c926ULL, 0x4d2c6dfc5ac42aedULL, 0x53380d139d95b3dfULL,
    0x650a73548baf63deULL, 0x766a0abb3c77b2a8ULL, 0x81c2c92e47edaee6ULL, 0x92722c851482353bULL,
    0xa2bfe8a14cf10364ULL, 0xa81a664bbc423001ULL, 0xc24b8b70d0f89791ULL, 0xc76c51a30654be30ULL,
    0xd192e819d6ef5218ULL, 0xd69906245565a910ULL, 0xf40e35855771202aULL, 0x106aa07032bbd1b8ULL,
    0x19a4c116b8d2d0c8ULL, 0x1e376c085141ab53ULL, 0x2748774cdf8eeb99ULL, 0x34b0bcb5e19b48a8ULL,
    0x391c0cb3c5c95a63ULL, 0x4ed8aa4ae3418acbULL, 0x5b9cca4f7763e373ULL, 0x682e6ff3d6b2b8a3ULL,
    0x748f82ee5defb2fcULL, 0x78a5636f43172f60ULL, 0x84c87814a1f0ab72ULL, 0x8cc702081a6439ecULL,
    0x90befffa23631e28ULL, 0xa4506cebde82bde9ULL, 0xbef9a3f7b2c67915ULL, 0xc67178f2e372532bULL,
    0xca273eceea26619cULL, 0xd186b8c721c0c207ULL, 0xeada7dd6cde0eb1eULL, 0xf57d4f7fee6ed178ULL,
    0x06f067aa72176fbaULL, 0x0a637dc5a2c898a6ULL, 0x113f9804bef90daeULL, 0x1b710b35131c471bULL,
    0x28db77f523047d84ULL, 0x32caab7b40c72493ULL, 0x3c9ebe0a15c9bebcULL, 0x431d67c49c100d4cULL,
    0x4cc5d4becb3e42b6ULL, 0x597f299cfc657e2aULL, 0x5fcb6fab3ad6faecULL, 0x6c44198c4a475817ULL,
};

#define ROTATED(x, bits) ((x) >> (bits) | (x) << (64 - (bits)))

/* Swaps the bytes of each word: messages are big-endian. */
static inline lanes loaded(const uint8_t *from) {
  const octets order = {7,  6,  5,  4,  3,  2,  1,  0,  15, 14, 13, 12, 11, 10, 9,  8,
                        23, 22, 21, 20, 19, 18, 17, 16, 31, 30, 29, 28, 27, 26, 25, 24};
  return (lanes)__builtin_shuffle((octets) * (const words *)from, order);
}

/* Four words of a block of each lane: four vectors, each with one word of all lanes. */
static inline void load(lanes *words, const struct lane *lane, size_t offset) {
  const lanes a = loaded(lane[0].next + offset), b = loaded(lane[1].next + offset);
  const lanes c = loaded(lane[2].next + offset), d = loaded(lane[3].next + offset);
  const lanes even = {0, 4, 2, 6}, odd = {1, 5, 3, 7}, low = {0, 1, 4, 5}, high = {2, 3, 6, 7};
  const lanes ab0 = __builtin_shuffle(a, b, even), ab1 = __builtin_shuffle(a, b, odd);
  const lanes cd0 = __builtin_shuffle(c, d, even), cd1 = __builtin_shuffle(c, d, odd);
  words[0] = __builtin_shuffle(ab0, cd0, low);
  words[1] = __builtin_shuffle(ab1, cd1, low);
  words[2] = __builtin_shuffle(ab0, cd0, high);
  words[3] = __builtin_shuffle(ab1, cd1, high);
}

/* Section 6.4.2: so many blocks of each lane. */
static void compress(lanes state[8], struct lane *lane, size_t blocks) {
  for (; blocks > 0; blocks--) {
    lanes w[16];
    for (size_t i = 0; i < 16; i += 4) load(w + i, lane, 8 * i);
    for (size_t i = 0; i < LANES; i++) lane[i].next += BLOCK;
    lanes a = state[0], b = state[1], c = state[2], d = state[3];
    lanes e = state[4], f = state[5], g = state[6], h = state[7];
#pragma GCC unroll 16
    for (size_t t = 0; t < 80; t++) {
      if (t >= 16) {
        const lanes x = w[(t + 1) % 16], y = w[(t + 14) % 16];
        w[t % 16] += (ROTATED(x, 1) ^ ROTATED(x, 8) ^ x >> 7) + w[(t + 9) % 16] + (ROTATED(y, 19) ^ ROTATED(y, 61) ^ y >> 6);
      }
      const lanes sum = h + (ROTATED(e, 14) ^ ROTATED(e, 18) ^ ROTATED(e, 41)) + (g ^ (e & (f ^ g))) + CONSTANTS[t] + w[t % 16];
      const lanes other = (ROTATED(a, 28) ^ ROTATED(a, 34) ^ ROTATED(a, 39)) + ((a & b) | (c & (a | b)));
      h = g, g = f, f = e, e = d + sum, d = c, c = b, b = a, a = sum + other;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
  }
}

static void begin(lanes state[8], struct lane *lane, size_t column, const struct message *message, size_t number) {
  const uint8_t *bytes = (const uint8_t *)(uintptr_t)message->address;
  const size_t rest = message->length % BLOCK;
  const size_t tail = rest + 17 > BLOCK ? TAIL : BLOCK;
  lane->next = bytes;
  lane->blocks = message->length / BLOCK;
  lane->tail_blocks = tail / BLOCK;
  lane->number = number;
  for (size_t i = 0; i < tail; i++) lane->tail[i] = i < rest ? bytes[message->length - rest + i] : i == rest ? 0x80 : 0;
  /* In bits, of which a message in memory has less than 2^64. */
  for (size_t i = 0; i < 8; i++) lane->tail[tail - 1 - i] = (uint8_t)(message->length * 8 >> 8 * i);
  for (size_t i = 0; i < 8; i++) state[i][column] = INITIAL[i];
}

/* Goes on to the tail. Returns whether the message has ended. */
static int advance(struct lane *lane) {
  if (lane->blocks > 0) return 0;
  if (lane->tail_blocks == 0) return 1;
  lane->next = lane->tail;
  lane->blocks = lane->tail_blocks;
  lane->tail_blocks = 0;
  return 0;
}

static void end(const lanes state[8], size_t column, uint8_t *digest) {
  for (size_t i = 0; i < DIGEST; i++) digest[i] = (uint8_t)(state[i / 8][column] >> (56 - 8 * (i % 8)));
}

/* Writes the digest of each message, 32 bytes, one behind the other. */
void sha512_256_of(const struct message *messages, uint32_t count, uint8_t *digests) {
  lanes state[8];
  struct lane lane[LANES];
  size_t started = 0, busy = 0;
  for (size_t i = 0; i < LANES; i++) {
    lane[i].number = count;
    if (started == count) continue;
    begin(state, &lane[i], i, &messages[started], started);
    started++, busy++;
  }
  while (busy > 0) {
    size_t blocks = SIZE_MAX;
    const uint8_t *any = 0;
    for (size_t i = 0; i < LANES; i++) {
      while (lane[i].number < count && advance(&lane[i])) {
        end(state, i, digests + DIGEST * lane[i].number);
        lane[i].number = count;
        if (started < count) {
          begin(state, &lane[i], i, &messages[started], started);
          started++;
        } else {
          busy--;
        }
      }
      if (lane[i].number == count) continue;
      any = lane[i].next;
      if (lane[i].blocks < blocks) blocks = lane[i].blocks;
    }
    if (busy == 0) break;
    /* What an idle lane makes of the same bytes as another one nobody asks for. */
    for (size_t i = 0; i < LANES; i++) {
      if (lane[i].number == count) lane[i].next = any;
      else lane[i].blocks -= blocks;
    }
    compress(state, lane, blocks);
  }
}
