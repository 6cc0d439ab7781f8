/* Two kinds of load that wrk and h2load cannot make, from one thread.
 *
 *     pace http PORT PATH RATE SECONDS CONNECTIONS
 *     pace websocket PORT PATH SECONDS CONNECTIONS
 *
 * http: requests at random moments (a Poisson process, always the same) at RATE a second, each on a kept connection that is
 * free. The latency counts from the moment at which the request was due, so that one which had to wait for a connection, or
 * for this program, has waited: nothing is left out because an answer before it was late.
 *
 * websocket: each connection sends a message of 32 bytes, waits for its echo, and sends the next.
 *
 * Prints one line of JSON; times in seconds. Exit status 1 with a line on stderr when there was no load at all.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define GRACE 2.0 /* seconds that the last answers may take */
#define PAYLOAD 32
#define ECHO (2 + PAYLOAD) /* bytes of a frame from the server, which is not masked */

struct connection {
    int fd;
    int busy;
    double due; /* when its request should have been sent */
    long length; /* of the whole answer; -1 until its head was read */
    long have;
    char data[8192]; /* the head; a body beyond it is counted, not kept */
};

static int port, http, poller;
static char request[2048];
static int request_length;
static struct connection *connections;
static struct connection **idle;
static long idles;
static double *latencies;
static long answered, room, sockets, statuses;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void keep(double latency)
{
    if (answered == room) {
        room = room ? room * 2 : 1 << 16;
        if (!(latencies = realloc(latencies, room * sizeof *latencies)))
            die("memory");
    }
    latencies[answered++] = latency;
}

static int dial(struct connection *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = c}};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0)
        return -1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!http) { /* the handshake, while the socket still blocks */
        char head[4096];
        long have = 0;
        if (send(c->fd, request, request_length, MSG_NOSIGNAL) != request_length)
            return -1;
        while (have < (long)sizeof head - 1) {
            long got = recv(c->fd, head + have, 1, 0); /* not a byte beyond the head */
            if (got <= 0)
                return -1;
            have += got;
            head[have] = 0;
            if (have >= 4 && !strcmp(head + have - 4, "\r\n\r\n"))
                break;
        }
        if (strncmp(head, "HTTP/1.1 101", 12)) {
            errno = EPROTO;
            return -1;
        }
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    return epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
}

static void say(struct connection *c, double due)
{
    /* A client masks what it sends: RFC 6455, 5.3. */
    static const unsigned char frame[6 + PAYLOAD] = {0x81, 0x80 | PAYLOAD, 0x11, 0x22, 0x33, 0x44, 0x11, 0x22};
    const void *data = http ? (const void *)request : (const void *)frame;
    long length = http ? request_length : (long)sizeof frame;
    c->due = due;
    c->busy = 1;
    c->have = 0;
    c->length = http ? -1 : ECHO;
    send(c->fd, data, length, MSG_NOSIGNAL); /* what fails here is seen at the next read */
}

/* Take what came. 1: the answer is complete; 0: not yet; -1: the connection is of no use any more. */
static int hear(struct connection *c)
{
    static char rest[1 << 16];
    for (;;) {
        int keeps = c->length < 0 || !http;
        char *into = keeps ? c->data + c->have : rest;
        long size = keeps ? (long)sizeof c->data - 1 - c->have : (long)sizeof rest;
        long got = size > 0 ? recv(c->fd, into, size, 0) : 0;
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (got <= 0 || !c->busy)
            return -1;
        c->have += got;
        if (c->length < 0) {
            c->data[c->have] = 0;
            char *end = strstr(c->data, "\r\n\r\n"), *length = strcasestr(c->data, "\r\ncontent-length:");
            if (!end)
                continue;
            if (!length || length > end)
                return -1; /* only answers of a known length are asked for */
            c->length = end + 4 - c->data + atol(length + 17);
            if (strncmp(c->data, "HTTP/1.1 ", 9) || c->data[9] > '3')
                statuses++;
        }
        if (c->have == c->length)
            return http || (unsigned char)c->data[0] == 0x81 ? 1 : -1;
        if (c->have > c->length)
            return -1;
    }
}

int main(int argc, char **argv)
{
    http = argc == 7 && !strcmp(argv[1], "http");
    if (!http && !(argc == 6 && !strcmp(argv[1], "websocket"))) {
        fprintf(stderr, "usage: pace http PORT PATH RATE SECONDS CONNECTIONS | pace websocket PORT PATH SECONDS CONNECTIONS\n");
        return 2;
    }
    port = atoi(argv[2]);
    double rate = http ? atof(argv[4]) : 0, seconds = atof(argv[argc - 2]);
    long count = atol(argv[argc - 1]);
    request_length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n", argv[3], port,
        http ? "" : "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    if (request_length >= (int)sizeof request || count < 1 || seconds <= 0 || (http && rate <= 0)) {
        fprintf(stderr, "a figure is out of range, or the path is too long\n");
        return 2;
    }

    connections = calloc(count, sizeof *connections);
    idle = calloc(count, sizeof *idle);
    /* What is due and waits for a connection: at most all there will ever be. */
    long due_room = (long)(rate * seconds * 2) + 1000, due_first = 0, due_last = 0;
    double *due = calloc(due_room, sizeof *due);
    poller = epoll_create1(0);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (!connections || !idle || !due || poller < 0 || timer < 0)
        die("set-up");
    for (long i = 0; i < count; i++) {
        if (dial(&connections[i]) < 0)
            die("connect");
        idle[idles++] = &connections[i];
    }
    prctl(PR_SET_TIMERSLACK, 1);
    struct epoll_event watch = {.events = EPOLLIN, .data = {.ptr = NULL}};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &watch);

    srand48(7);
    double begun = now(), end = begun + seconds, next = begun, last = begun;
    long busy = 0, asked = 0;
    if (!http)
        for (; idles > 0; busy++, asked++)
            say(idle[--idles], now());
    for (;;) {
        double t = now();
        if (http) {
            while (next <= t && next < end && due_last < due_room) {
                due[due_last++] = next;
                next += -log(1 - drand48()) / rate;
            }
            while (due_first < due_last && idles > 0) {
                say(idle[--idles], due[due_first++]);
                busy++, asked++;
            }
        }
        if (t >= end && ((busy == 0 && due_first == due_last) || t > end + GRACE))
            break;
        double wake = http && next < end ? next : t < end ? end : end + GRACE;
        struct itimerspec at = {.it_value = {(time_t)wake, (long)((wake - (time_t)wake) * 1e9) + 1}};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);

        struct epoll_event events[256];
        int n = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                unsigned long expired;
                if (read(timer, &expired, sizeof expired) < 0 && errno != EAGAIN)
                    die("timer");
                continue;
            }
            int heard = hear(c);
            if (heard == 0)
                continue;
            t = now();
            if (heard < 0) { /* the connection is replaced; was it in use, its request is lost */
                int was_busy = c->busy;
                close(c->fd);
                c->busy = 0;
                sockets += was_busy;
                if (dial(c) < 0)
                    die("connect again");
                if (!was_busy)
                    continue; /* it was idle, and is in the list already */
            } else {
                keep(t - c->due);
                last = t;
            }
            c->busy = 0;
            busy--;
            if (!http && t < end) {
                say(c, t);
                busy++, asked++;
            } else
                idle[idles++] = c;
        }
    }
    sockets += busy + (due_last - due_first); /* never answered, or never sent */
    if (!answered) {
        fprintf(stderr, "not one of %ld requests was answered\n", asked);
        return 1;
    }
    double sum = 0;
    for (long i = 0; i < answered; i++)
        sum += latencies[i];
    qsort(latencies, answered, sizeof *latencies, by_size);
#define PART(share) latencies[(long)(answered * (share)) < answered ? (long)(answered * (share)) : answered - 1]
    printf("{\"requests\": %ld, \"seconds\": %.6f, \"mean\": %.9f, \"p50\": %.9f, \"p99\": %.9f, \"p999\": %.9f, \"sockets\": %ld, "
           "\"statuses\": %ld}\n",
        answered, last - begun, sum / answered, PART(0.5), PART(0.99), PART(0.999), sockets, statuses);
    return 0;
}
