// Exit code 0 when the service at HEALTH_URL (or the first argument) answers 2xx: the container's health check. It asks its
// own process over the loopback interface, so a certificate is not checked.
import http from 'node:http'
import https from 'node:https'

const url = process.argv[2] ?? process.env.HEALTH_URL ?? 'http://127.0.0.1:8000/health'
const request = (url.startsWith('https:') ? https : http).get(url, { rejectUnauthorized: false, timeout: 2500 }, (response) => {
  response.resume()
  if (response.statusCode >= 200 && response.statusCode < 300) process.exit(0)
  console.error(`${url}: ${response.statusCode}`)
  process.exit(1)
})
request.on('timeout', () => request.destroy(new Error('timeout')))
request.on('error', (error) => {
  console.error(`${url}: ${error.message}`)
  process.exit(1)
})
