export { runDecode } from './main.ts'
