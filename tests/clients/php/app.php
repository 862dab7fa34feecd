<?php
// The session application of the client tests on PHP's own sessions with phpredis:
//   php -S 127.0.0.1:PORT -d session.save_handler=redis -d session.save_path=... app.php
// The ini settings of the command line choose where sessions live and whether they are locked.
declare(strict_types=1);

// PHP turns a failed session into an empty one with a warning; the tests need to see the failure.
set_error_handler(function (int $level, string $message): bool {
    http_response_code(500);
    header('Content-Type: application/json');
    echo json_encode(['error' => $message]);
    exit;
});

function show(): void
{
    $answer = ['user' => $_SESSION['user'] ?? null, 'v' => $_SESSION['v'] ?? null];
    session_write_close();
    header('Content-Type: application/json');
    echo json_encode($answer);
}

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path === '/ping') {
    echo '{"ok":true}';
    return;
}
session_start();
switch ($path) {
    case '/login':
        $_SESSION['user'] = $_GET['u'];
        break;
    case '/update':
        $_SESSION['v'] = $_GET['v'];
        break;
    case '/regenerate':
        session_regenerate_id(true);
        break;
    case '/logout':
        session_destroy();
        header('Content-Type: application/json');
        echo '{"user":null,"v":null}';
        return;
}
show();
