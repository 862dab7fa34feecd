// ioredis' client of a Redis Cluster for bench/failover.py: each line "KEY VALUE" on stdin is a SET, answered
// by a line with the reply or the error. Flags: port of a node, patience in milliseconds.
'use strict'
const readline = require('node:readline')
const { Cluster } = require('ioredis')

const [port, patienceMs] = process.argv.slice(2).map(Number)
const cluster = new Cluster([{ host: '127.0.0.1', port }], {
  redisOptions: { commandTimeout: patienceMs }
})
cluster.on('error', () => {}) // each command tells of its own
readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const [key, value] = line.split(' ')
  const answer = await cluster.set(key, value).catch((error) => `-${error.message}`)
  process.stdout.write(`${answer}\n`)
}).on('close', () => process.exit())
