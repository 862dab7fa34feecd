// The session application of the client tests on Express, express-session and connect-redis.
//
//   node app.js PORT REDIS_URL [node-redis|ioredis]
//
// Routes are those of tests/clients/README: every client application answers the same ones.
'use strict';
const express = require('express');
const session = require('express-session');

async function connect(url, driver) {
  if (driver === 'ioredis') {
    const Redis = require('ioredis');
    const client = new Redis(url);
    client.on('error', (error) => console.error(`redis: ${error.message}`));
    const { RedisStore } = require('connect-redis-for-ioredis'); // the last one that takes ioredis
    return new RedisStore({ client, prefix: 'sess:' });
  }
  const { createClient } = require('redis');
  const { RedisStore } = require('connect-redis');
  const client = createClient({ url });
  client.on('error', (error) => console.error(`redis: ${error.message}`));
  await client.connect();
  return new RedisStore({ client, prefix: 'sess:' });
}

function application(store) {
  const app = express();
  app.get('/ping', (request, response) => response.json({ ok: true }));
  app.use(
    session({
      store,
      secret: 'tests only',
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 3600 * 1000 },
    }),
  );
  const show = (request, response) => {
    const { user, v } = request.session;
    response.json({ user: user ?? null, v: v ?? null });
  };
  app.get('/login', (request, response) => {
    request.session.user = request.query.u;
    show(request, response);
  });
  app.get('/read', show);
  app.get('/touch', (request, response) => {
    request.session.touch();
    show(request, response);
  });
  app.get('/update', (request, response) => {
    request.session.v = request.query.v;
    show(request, response);
  });
  app.get('/regenerate', (request, response, next) => {
    const { user, v } = request.session;
    request.session.regenerate((error) => {
      if (error) return next(error);
      Object.assign(request.session, { user, v });
      show(request, response);
    });
  });
  app.get('/logout', (request, response, next) => {
    request.session.destroy((error) => {
      if (error) return next(error);
      response.json({ user: null, v: null });
    });
  });
  app.use((error, request, response, next) => {
    response.status(500).json({ error: error.message });
  });
  return app;
}

async function main() {
  const [port, url, driver = 'node-redis'] = process.argv.slice(2);
  const store = await connect(url, driver);
  application(store).listen(Number(port), '127.0.0.1');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
