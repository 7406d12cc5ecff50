//! The settings of nginx, as docs/deploy.md has them for several processes.

/// Returns the settings of nginx. Both servers are in front of both replicas, and any replica gets
/// any request.
pub fn settings(ports: [u16; 2], replicas: [u16; 2]) -> String {
    // A replica that failed is left out for a second only.
    let both = replicas.map(|port| format!("server 127.0.0.1:{port} fail_timeout=1s;")).concat();
    let [plain, repeating] = ports.map(|port| {
        format!(
            "listen 127.0.0.1:{port};
             location / {{ proxy_pass http://replicas; }}"
        )
    });
    format!(
        "upstream replicas {{ {both} keepalive 32; }}
         proxy_http_version 1.1;
         proxy_set_header Connection \"\";
         proxy_set_header Host $http_host;
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
         add_header X-Upstream $upstream_addr always;
         server {{ {plain} }}
         server {{ {repeating}
           location ~ ^/oauth/(token|revoke)$ {{
             proxy_pass http://replicas;
             proxy_next_upstream error timeout non_idempotent;
           }}
         }}"
    )
}
