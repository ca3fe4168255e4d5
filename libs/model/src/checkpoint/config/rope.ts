// Rotary embedding parameters in every spelling that config.json has had: rope_theta + rope_scaling, or rope_parameters.
import type { RopeScaling } from '../checkpoint.ts'
import type { JsonFields } from './json-fields.ts'

export interface Rope {
  readonly theta: number
  readonly scaling: RopeScaling
}

const DEFAULT_THETA = 10000
const SUPPORTED = 'supported are default, linear and llama3'

/** Reads the rotary parameters. Throws CheckpointError for kinds other than default, linear and llama3. */
export function parseRope(fields: JsonFields): Rope {
  const classic = fields.object('rope_scaling')
  const modern = fields.object('rope_parameters')
  const topTheta = fields.number('rope_theta', Number.MIN_VALUE)
  const theta = modern?.number('rope_theta', Number.MIN_VALUE) ?? classic?.number('rope_theta', Number.MIN_VALUE) ?? topTheta ?? DEFAULT_THETA
  refusePartialRotation(fields)
  if (modern !== null) refusePartialRotation(modern)
  const fromModern = modern === null ? null : parseScaling(modern, fields)
  const fromClassic = classic === null ? null : parseScaling(classic, fields)
  if (fromModern !== null && fromClassic !== null && JSON.stringify(fromModern) !== JSON.stringify(fromClassic))
    throw fields.refuse('rope_scaling', 'differs from rope_parameters; keep one of the two')
  return { theta, scaling: fromModern ?? fromClassic ?? { kind: 'none' } }
}

function parseScaling(rope: JsonFields, config: JsonFields): RopeScaling {
  const key = rope.has('rope_type') ? 'rope_type' : 'type'
  const kind = rope.text(key) ?? impliedKind(rope)
  switch (kind) {
    case 'default':
      return { kind: 'none' }
    case 'linear':
      return { kind: 'linear', factor: rope.positive('factor') }
    case 'llama3':
      return parseLlama3(rope, config)
    default:
      throw rope.refuse(key, `is ${JSON.stringify(kind)}; ${SUPPORTED}`)
  }
}

/** An object without a type: plain rotation when it holds no more than theta, otherwise nothing we may guess. */
function impliedKind(rope: JsonFields): string {
  const plain = rope.keys().every((key) => key === 'rope_theta' || key === 'partial_rotary_factor')
  if (!plain) throw rope.refuse('rope_type', `is missing; ${SUPPORTED}`)
  return 'default'
}

function parseLlama3(rope: JsonFields, config: JsonFields): RopeScaling {
  const key = 'original_max_position_embeddings'
  const lowFreqFactor = rope.positive('low_freq_factor')
  const highFreqFactor = rope.positive('high_freq_factor')
  if (highFreqFactor <= lowFreqFactor) throw rope.refuse('high_freq_factor', `is ${highFreqFactor}, must be greater than low_freq_factor ${lowFreqFactor}`)
  return {
    kind: 'llama3',
    factor: rope.positive('factor'),
    lowFreqFactor,
    highFreqFactor,
    originalMaxPositions: rope.has(key) || !config.has(key) ? rope.positiveInteger(key) : config.positiveInteger(key),
  }
}

function refusePartialRotation(fields: JsonFields): void {
  const ratio = fields.number('partial_rotary_factor', 0)
  if (ratio !== null && ratio !== 1) throw fields.refuse('partial_rotary_factor', `is ${ratio}; supported is rotation of whole heads (1)`)
}
