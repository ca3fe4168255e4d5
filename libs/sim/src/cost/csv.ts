// Comma-separated tables with a header line; none of ours quotes a field.

export interface CsvRow {
  /** Place of each column, shared by all rows. */
  readonly columns: ReadonlyMap<string, number>
  readonly fields: readonly string[]
}

/** One per line below the header. Throws RangeError where a line has another number of fields than the header. */
export function csvRows(text: string): CsvRow[] {
  const [header = '', ...lines] = text.trim().split(/\r?\n/)
  const columns = new Map(header.split(',').map((name, place) => [name, place]))
  return lines.map((line, index) => {
    const fields = line.split(',')
    if (fields.length !== columns.size) throw new RangeError(`line ${index + 2} has ${fields.length} fields, the header ${columns.size}`)
    return { columns, fields }
  })
}

/** Throws RangeError where there is no such column. */
export function textIn({ columns, fields }: CsvRow, name: string): string {
  const place = columns.get(name)
  if (place === undefined) throw new RangeError(`there is no column ${name}`)
  return fields[place]!
}

/** Throws RangeError where the field is missing, empty or no finite number. */
export function numberIn(row: CsvRow, name: string): number {
  const text = textIn(row, name)
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new RangeError(`${name} is no number: ${text}`)
  return value
}
