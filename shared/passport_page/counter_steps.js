// Whether the counter beside a vehicle's records went up with them, as in shared/records/counter_steps.py.

const COUNTER_WORDS = { tpm: "the counter in the vehicle's TPM", file: "the counter beside the vehicle's records" };

class CounterSteps {
  constructor() {
    this.last = null;
  }

  check(item) {
    const { record } = item;
    if (!isOwn(item) || !record.fields.has("bound_to")) return [];
    const { last } = this;
    const { seq } = record;
    const told = memberOf(record, "bound_to", "counter");
    const count = told === null ? null : { seq, kind: told.get("kind"), value: told.get("value") };
    this.last = count;
    if (last === null) return [];
    if (count === null || count.kind !== last.kind) {
      const then = count === null ? "no counter any more" : `${COUNTER_WORDS[count.kind]} instead`;
      const text = `Up to record ${last.seq} ${COUNTER_WORDS[last.kind]} counted with the records; record ${seq} names ${then}.`;
      return [finding("counter_changed", seq, text)];
    }
    const [records, steps] = [seq - last.seq, count.value - last.value];
    if (records <= 0 || steps === records) return [];
    const why =
      steps > records
        ? "records were made that are not in this history, or the counter was made anew"
        : "two histories of one vehicle, or another counter was put in its place";
    const text =
      `Between record ${last.seq} and record ${seq} ${COUNTER_WORDS[count.kind]} went from ${last.value} to ${count.value}, ` +
      `not up by ${records}: ${why}.`;
    return [finding("counter_out_of_step", seq, text)];
  }
}
