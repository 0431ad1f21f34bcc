// Vectors of a compiler-chosen width, and the few functions that the CPU kernels need on them.
//
// A kernel file is compiled once for each instruction set, with VIM_ISA naming the namespace, so
// that the linker never takes one set's inline function for another's. For the same reason this
// header and the kernels include nothing that defines functions, neither the standard library nor
// torch.
#pragma once

#include <stdint.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define VIM_INLINE inline __attribute__((always_inline))

namespace vim::ops::VIM_ISA {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

template <class T>
inline constexpr int kLanes = kVectorBytes / int{sizeof(T)};

namespace detail {
template <class T>
struct Types;

template <>
struct Types<float> {
  typedef float Vector __attribute__((vector_size(kVectorBytes)));
  typedef int32_t Bits __attribute__((vector_size(kVectorBytes)));
  static constexpr int kMantissa = 23;
  static constexpr int kMaxExponent = 127;
  static constexpr float kLog2e = 1.44269502f, kLog2eRest = 1.92596299e-08f;
  // (2^f - 1) / f on [-1/2, 1/2]; relative error of 2^f: 5e-9. The leading one is exact, so that
  // a decay near one keeps its distance from one over thousands of tokens.
  static constexpr float kExp2[] = {0.693147188f,   0.240226508f,   0.0555035711f,
                                    0.00961808256f, 0.00133908634f, 0.000154531629f};
  // 2 atanh(s) / s in powers of s^2 on [0, 1/9]; relative error 4e-9.
  static constexpr float kAtanh[] = {2.00000001f, 0.666663216f, 0.400245952f, 0.279651577f,
                                     0.281577784f};
};

template <>
struct Types<double> {
  typedef double Vector __attribute__((vector_size(kVectorBytes)));
  typedef int64_t Bits __attribute__((vector_size(kVectorBytes)));
  static constexpr int kMantissa = 52;
  static constexpr int kMaxExponent = 1023;
  static constexpr double kLog2e = 1.4426950408889634, kLog2eRest = 2.0355273740931033e-17;
  // As above; errors 1e-19 and 3e-20.
  static constexpr double kExp2[] = {
      0.69314718055994529,    0.24022650695910072,    0.055504108664821625,
      0.0096181291076284803,  0.0013333558146406471,  0.00015403530393370734,
      1.5252733841556773e-05, 1.3215486808705563e-06, 1.0178057087733941e-07,
      7.0548973041554995e-09, 4.4558179083360645e-10, 2.5729324177362305e-11};
  static constexpr double kAtanh[] = {2.0,
                                      0.66666666666666685,
                                      0.39999999999992869,
                                      0.28571428572622926,
                                      0.22222222119103674,
                                      0.18181823422495252,
                                      0.15384447060459969,
                                      0.13336876815743837,
                                      0.11715274668110426,
                                      0.10976616637947494,
                                      0.069803904983324311,
                                      0.16488285931389568};
};
}  // namespace detail

template <class T>
using Vector = typename detail::Types<T>::Vector;
template <class V>
using Element = decltype(V{}[0] + 0);

template <class T>
VIM_INLINE Vector<T> load(const T* from) {
  Vector<T> v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
template <class T>
VIM_INLINE void store(T* to, Vector<T> v) {
  __builtin_memcpy(to, &v, sizeof v);
}

// The first `count` lanes; the others are zero, or stay unwritten.
template <class T>
VIM_INLINE Vector<T> load(const T* from, int count) {
  if (__builtin_expect(count == kLanes<T>, 1)) return load(from);
  Vector<T> v = {};
  __builtin_memcpy(&v, from, count * sizeof(T));
  return v;
}
template <class T>
VIM_INLINE void store(T* to, Vector<T> v, int count) {
  if (__builtin_expect(count == kLanes<T>, 1)) return store(to, v);
  __builtin_memcpy(to, &v, count * sizeof(T));
}

template <class T>
VIM_INLINE Vector<T> broadcast(T value) {
  return Vector<T>{} + value;
}

// The sum of the lanes, in an order of its own.
template <class T>
VIM_INLINE T sum(Vector<T> v) {
  T lane[kLanes<T>];
  __builtin_memcpy(lane, &v, sizeof v);
#pragma GCC unroll 5
  for (int half = kLanes<T> / 2; half > 0; half /= 2) {
#pragma GCC unroll 16
    for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
  }
  return lane[0];
}

namespace detail {

// Lanes 0, 1, ..., kCount - 1.
template <int kCount, int... kLane>
struct Lanes : Lanes<kCount - 1, kCount - 1, kLane...> {};
template <int... kLane>
struct Lanes<0, kLane...> {};

// The sums of neighbours: those of a, then those of b.
template <class V, int... kLane>
VIM_INLINE V pair_sums(V a, V b, Lanes<0, kLane...>) {
  return __builtin_shufflevector(a, b, (2 * kLane)...) +
         __builtin_shufflevector(a, b, (2 * kLane + 1)...);
}

}  // namespace detail

// Lane i of the result is the sum of the lanes of v[i]. Overwrites v.
template <class T>
VIM_INLINE Vector<T> sums(Vector<T> (&v)[kLanes<T>]) {
#pragma GCC unroll 5
  for (int count = kLanes<T> / 2; count > 0; count /= 2) {
#pragma GCC unroll 16
    for (int i = 0; i < count; ++i) {
      v[i] = detail::pair_sums(v[2 * i], v[2 * i + 1], detail::Lanes<kLanes<T>>{});
    }
  }
  return v[0];
}

namespace detail {

template <class T, int kTerms>
VIM_INLINE Vector<T> polynomial(const T (&coefficients)[kTerms], Vector<T> x) {
  Vector<T> sum = broadcast(coefficients[kTerms - 1]);
#pragma GCC unroll 16
  for (int i = kTerms - 2; i >= 0; --i) sum = sum * x + coefficients[i];
  return sum;
}

// at_least and at_most: x within a bound, and NaN where x is. round: to the nearest integer. scale:
// mantissa * 2^exponent for an integral exponent.
#if defined(__AVX512F__)
VIM_INLINE Vector<float> at_least(Vector<float> low, Vector<float> x) {
  return _mm512_max_ps(low, x);
}
VIM_INLINE Vector<double> at_least(Vector<double> low, Vector<double> x) {
  return _mm512_max_pd(low, x);
}
VIM_INLINE Vector<float> at_most(Vector<float> high, Vector<float> x) {
  return _mm512_min_ps(high, x);
}
VIM_INLINE Vector<double> at_most(Vector<double> high, Vector<double> x) {
  return _mm512_min_pd(high, x);
}
#elif defined(__AVX2__)
VIM_INLINE Vector<float> at_least(Vector<float> low, Vector<float> x) {
  return _mm256_max_ps(low, x);
}
VIM_INLINE Vector<double> at_least(Vector<double> low, Vector<double> x) {
  return _mm256_max_pd(low, x);
}
VIM_INLINE Vector<float> at_most(Vector<float> high, Vector<float> x) {
  return _mm256_min_ps(high, x);
}
VIM_INLINE Vector<double> at_most(Vector<double> high, Vector<double> x) {
  return _mm256_min_pd(high, x);
}
#else
template <class V>
VIM_INLINE V at_least(V low, V x) {
  return low > x ? low : x;
}
template <class V>
VIM_INLINE V at_most(V high, V x) {
  return high < x ? high : x;
}
#endif

#if defined(__AVX512F__)
constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
VIM_INLINE Vector<float> round(Vector<float> x) {
  return _mm512_roundscale_ps(x, kNearest);
}
VIM_INLINE Vector<double> round(Vector<double> x) {
  return _mm512_roundscale_pd(x, kNearest);
}
VIM_INLINE Vector<float> scale(Vector<float> mantissa, Vector<float> exponent) {
  return _mm512_scalef_ps(mantissa, exponent);
}
VIM_INLINE Vector<double> scale(Vector<double> mantissa, Vector<double> exponent) {
  return _mm512_scalef_pd(mantissa, exponent);
}
// `scale` does the right thing for every finite exponent.
template <class T>
VIM_INLINE Vector<T> usable_exponent(Vector<T> x) {
  return x;
}
#else
template <class T>
inline constexpr T kRounder = T(3ull << (Types<T>::kMantissa - 1));
template <class V, class T = Element<V> >
VIM_INLINE V round(V x) {
  return (x + kRounder<T>)-kRounder<T>;
}
template <class V, class T = Element<V> >
VIM_INLINE V scale(V mantissa, V exponent) {
  using Bits = typename Types<T>::Bits;
  const Bits shift = (Bits)(exponent + kRounder<T>) << Types<T>::kMantissa;
  return (V)((Bits)mantissa + shift);
}
// Down to the smallest normal number, up to infinity: `scale` only adds to the exponent's bits.
template <class T>
VIM_INLINE Vector<T> usable_exponent(Vector<T> x) {
  x = at_least(broadcast(T(1 - Types<T>::kMaxExponent)), x);
  return at_most(broadcast(T(1 + Types<T>::kMaxExponent)), x);
}
#endif

}  // namespace detail

// For finite x.
template <class T>
VIM_INLINE Vector<T> exp2(Vector<T> x) {
  x = detail::usable_exponent<T>(x);
  const Vector<T> whole = detail::round(x);
  const Vector<T> part = x - whole;
  return detail::scale(detail::polynomial<T>(detail::Types<T>::kExp2, part) * part + T(1), whole);
}

// Within 2 units in the last place; ends at the smallest and the largest power of two.
template <class T>
VIM_INLINE Vector<T> exp(Vector<T> x) {
  using Types = detail::Types<T>;
  constexpr T kLn2 = T(0.69314718055994530942);
  x = detail::at_least(broadcast(T(1 - Types::kMaxExponent) * kLn2), x);
  x = detail::at_most(broadcast(T(Types::kMaxExponent) * kLn2), x);
  const Vector<T> whole = detail::round(x * Types::kLog2e);
  const Vector<T> part = (x * Types::kLog2e - whole) + x * Types::kLog2eRest;
  return detail::scale(detail::polynomial<T>(Types::kExp2, part) * part + T(1), whole);
}

// 1 / x for 1 <= x <= 2^127, within a unit or two in the last place: division is slow.
VIM_INLINE Vector<double> reciprocal(Vector<double> x) {
  return 1.0 / x;
}
#if defined(__AVX512F__)
VIM_INLINE Vector<float> reciprocal(Vector<float> x) {
  const Vector<float> guess = _mm512_rcp14_ps(x);
  return guess + guess * (1.0f - x * guess);
}
#else
VIM_INLINE Vector<float> reciprocal(Vector<float> x) {
  return 1.0f / x;
}
#endif

template <class T>
VIM_INLINE Vector<T> sigmoid(Vector<T> x) {
  return reciprocal(T(1) + exp<T>(-x));
}

// log(1 + exp(x)), and x itself above 20, as torch has it.
template <class T>
VIM_INLINE Vector<T> softplus(Vector<T> x) {
  const Vector<T> e = exp<T>(x > T(0) ? -x : x);
  const Vector<T> s = e * reciprocal(T(2) + e);
  const Vector<T> log = s * detail::polynomial<T>(detail::Types<T>::kAtanh, s * s);
  return x > T(20) ? x : (x > T(0) ? x + log : log);
}

}  // namespace vim::ops::VIM_ISA
