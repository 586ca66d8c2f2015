// A library of its own, for any x86-64 processor: which level of the architecture this one has.
//
// The processor itself is asked. /proc/cpuinfo has the features of the machine, which under an emulator are not those
// that programs see.
#include <cpuid.h>
#include <stdint.h>

namespace {

struct Registers {
  uint32_t eax, ebx, ecx, edx;
};

Registers Ask(uint32_t leaf) {
  Registers found = {};
  __get_cpuid_count(leaf, 0, &found.eax, &found.ebx, &found.ecx, &found.edx);
  return found;
}

// The register states that the system keeps for a program.
uint32_t KeptStates() {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

bool All(uint32_t value, uint32_t wanted) { return (value & wanted) == wanted; }

}  // namespace

// 1 to 4: x86-64, x86-64-v2, -v3 or -v4 (System V ABI for AMD64, "microarchitecture levels").
extern "C" __attribute__((visibility("default"))) int tinsmith_cpu_level() {
  const Registers basic = Ask(1), more = Ask(7), extended = Ask(0x80000001);
  const uint32_t v2 = bit_SSE3 | bit_SSSE3 | bit_CMPXCHG16B | bit_SSE41 | bit_SSE42 | bit_POPCNT;
  if (!All(basic.ecx, v2) || !All(extended.ecx, bit_LAHF_LM)) return 1;
  const uint32_t v3 = bit_AVX | bit_F16C | bit_FMA | bit_MOVBE | bit_OSXSAVE;
  if (!All(basic.ecx, v3) || !All(more.ebx, bit_AVX2 | bit_BMI | bit_BMI2) || !All(extended.ecx, bit_LZCNT)) return 2;
  constexpr uint32_t kAvx = 0x06, kAvx512 = 0xe6;
  if (!All(KeptStates(), kAvx)) return 2;
  const uint32_t v4 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
  return All(more.ebx, v4) && All(KeptStates(), kAvx512) ? 4 : 3;
}
