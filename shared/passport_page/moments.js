// Moments are texts like 2026-11-22T09:30:00.250Z, which compare as they follow each other, as in shared/core/itstime.py; certificates
// count microseconds of TAI since 2004. And distances for people.

const ITS_EPOCH_S = 1072915200;
const LEAP_SECONDS_S = [1136073600, 1230768000, 1341100800, 1435708800, 1483228800];

// Time64 of a moment; null before 2004.
const time64Of = (moment) => {
  const ms = Date.parse(moment);
  const leaps = LEAP_SECONDS_S.filter((at) => at * 1000 <= ms).length;
  const time64 = (BigInt(ms) - BigInt(ITS_EPOCH_S) * 1000n) * 1000n + BigInt(leaps) * 1000000n;
  return time64 < 0n ? null : time64;
};

const dayText = (moment) => (moment === null ? "an unknown date" : moment.slice(0, 10));

// 25088100 is `25,088.1 km`; a quarter of a kilometre is a tie, which Python rounds to the even digit.
const kmText = (metres) => {
  const whole = Math.abs(metres);
  const [before, after] = (whole % 1000 === 250 ? `${(whole - 250) / 1000}.2` : (whole / 1000).toFixed(1)).split(".");
  return `${metres < 0 ? "-" : ""}${before.replace(/\B(?=(?:\d{3})+$)/g, ",")}.${after} km`;
};
