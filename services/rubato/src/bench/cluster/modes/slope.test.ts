import assert from 'node:assert/strict'
import { test } from 'node:test'
import { metricSum } from '../fleet/metric-text.ts'
import { slopeOf } from './slope.ts'

test('the slope of a line is found whatever lies around it evenly', () => {
  assert.equal(slopeOf([[0, 5], [10, 25], [20, 45]]), 2)
  assert.equal(slopeOf([[0, 1], [0, 3], [4, 9], [4, 11]]), 2)
  assert.equal(slopeOf([[0, 7], [9, 7]]), 0)
})

test('one point, or all at one place, have no slope', () => {
  assert.equal(slopeOf([[3, 1]]), null)
  assert.equal(slopeOf([[3, 1], [3, 2]]), null)
})

test('samples of a metric are summed by name and labels', () => {
  const text = '# HELP a_total x\n# TYPE a_total counter\na_total{model="m",state="used"} 3\na_total{model="n",state="used"} 4\na_total{model="m",state="free"} 50\nb 7\na_total_more{state="used"} 100\n'
  assert.equal(metricSum(text, 'a_total', { state: 'used' }), 7)
  assert.equal(metricSum(text, 'a_total', { state: 'used', model: 'n' }), 4)
  assert.equal(metricSum(text, 'b'), 7)
  assert.equal(metricSum(text, 'c'), 0)
})
