-- What the founder of a cluster starts with. HAProxy's checks log in as `haproxy` and say BEGIN.
FLUSH PRIVILEGES;
CREATE DATABASE posts;
CREATE USER posts IDENTIFIED BY 'posts';
GRANT ALL ON posts.* TO posts;
CREATE USER haproxy;
