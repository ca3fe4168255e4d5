// Writes a report as JSON.
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { BenchServeReport } from './report.ts'

/** As `vllm bench serve` names it: label or backend, rate, concurrency, model, date. */
export function resultFileName(report: BenchServeReport): string {
  const concurrency = report.max_concurrency === null ? '' : `-concurrency${report.max_concurrency}`
  const model = report.model_id.split('/').findLast((part) => part !== '') ?? 'model'
  const name = `${report.label ?? report.endpoint_type}-${report.request_rate}qps${concurrency}-${model}-${report.date}.json`
  return name.replaceAll(/[^\w.=+-]/g, '_')
}

/** Returns the path written; folders are made as needed. */
export function saveReport(report: BenchServeReport, dir: string, fileName: string | null): string {
  const file = path.join(dir, fileName ?? resultFileName(report))
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(report)}\n`)
  return file
}
