// What a router answers, whom it gives requests to, and how many it takes.
import { flag, unless } from '../flags/flag.ts'
import { choice, matching, orWord, seconds, text, wholeNumber } from '../flags/value-schemas.ts'

export const ROUTING_FLAGS = {
  'generation-config': flag({ group: 'Model', help: "auto: sampling defaults of the checkpoint; vllm: neutral; or a directory with a generation_config.json", placeholder: 'auto|vllm|DIR', schema: text(), fallback: 'auto', isPath: unless('auto', 'vllm') }),
  seed: flag({ group: 'Model', help: 'base of the seeds drawn for requests that bring none', placeholder: 'N', schema: orWord('none', wholeNumber(0)), fallback: null, defaultText: 'none = random' }),
  'tokenizer-threads': flag({ group: 'Memory and threads', help: 'threads that tokenise long prompts', placeholder: 'N', schema: wholeNumber(1, 64), fallback: 1 }),
  dispatch: flag({ group: 'Scheduling', help: 'slo|freeness|jsq|kv-aware|round-robin: which instance gets a request', placeholder: 'POLICY', schema: choice(['slo', 'freeness', 'jsq', 'kv-aware', 'round-robin']), fallback: 'slo' }),
  placement: flag({ group: 'Scheduling', help: 'auto|disaggregated|colocated: prompt and tokens of a request on two instances or on one', placeholder: 'POLICY', schema: choice(['auto', 'disaggregated', 'colocated']), fallback: 'auto' }),
  migration: flag({ group: 'Scheduling', help: 'llumnix|off: whether running requests move between the instances of one process (of a cluster: rubato migrator)', placeholder: 'POLICY', schema: choice(['llumnix', 'off']), fallback: 'llumnix' }),
  'max-concurrent-requests': flag({ group: 'Overload and shutdown', help: 'requests in service at once; more wait in the queue', placeholder: 'N', schema: orWord('none', wholeNumber(1)), fallback: null, defaultText: 'none = no limit' }),
  'queue-size': flag({ group: 'Overload and shutdown', help: 'requests that may wait; more are refused', placeholder: 'N', schema: wholeNumber(0), fallback: 256 }),
  'queue-timeout-secs': flag({ group: 'Overload and shutdown', help: 'longest wait in the queue', placeholder: 'S', schema: seconds(), fallback: 60 }),
  'migration-limit': flag({ group: 'Overload and shutdown', help: 'crashes on admission after which a request fails for good', placeholder: 'N', schema: wholeNumber(1, 100), fallback: 3 }),
} as const

/** A router computes the model's name by itself; the class of CPU that is part of it, it can only assume. */
export const FOREIGN_CPU_FLAGS = {
  'instance-cpu': flag({ group: 'Cluster', help: "class of the instances' CPUs, as their logs name it (x64-avx512, x64-avx2, ...)", placeholder: 'CLASS', schema: matching(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'must be a class of CPU as an instance logs it, such as x64-avx2').nullable(), fallback: null, defaultText: "this machine's" }),
} as const
