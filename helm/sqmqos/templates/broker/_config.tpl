{{/* Size that the broker's tables may reach. The volume has the journal, too, and a file
     system's own; so nine tenths of what the journal leaves. */}}
{{- define "sqmqos.storeMaxSize" -}}
{{- $store := .Values.broker.store -}}
{{- if $store.maxSize -}}
{{- $store.maxSize -}}
{{- else -}}
{{- $left := sub (include "sqmqos.mebibytes" $store.size | int64) (include "sqmqos.mebibytes" $store.journalSize | int64) -}}
{{- if lt (mul $left 9) 160 -}}
{{- fail (printf "broker.store.size %s leaves no room beside broker.store.journalSize %s: give the volume at least five times the journal" $store.size $store.journalSize) -}}
{{- end -}}
{{- div (mul $left 9) 10 -}}Mi
{{- end -}}
{{- end -}}

{{/* broker.yaml: what the chart sets, and `broker.config`, whose schema has none of these keys. */}}
{{- define "sqmqos.brokerConfig" -}}
{{- $b := .Values.broker -}}
{{- $config := dict
	"listen" (dict "address" (printf "*:%d" (int $b.port)))
	"tls" (dict "cert-file" "/etc/sqmqos/tls/tls.crt" "key-file" "/etc/sqmqos/tls/tls.key" "bundle-file" "/etc/sqmqos/tls/ca.crt")
	"auth" (dict "kubernetes" true "audience" .Values.auth.audience "owner" .Values.auth.owner "adopt" .Values.auth.adopt)
	"workers" $b.workers
	"engine" $b.engine
	"store" (dict "dir" "/var/lib/sqmqos/store" "journal-size" $b.store.journalSize "max-size" (include "sqmqos.storeMaxSize" .))
	"subscribers" (dict "dir" "/etc/sqmqos/subscribers")
	"bridges" (dict "dir" "/etc/sqmqos/bridges")
	"admin" (dict "listen" (printf "*:%d" (int $b.adminPort)) "console" $b.console)
	"drain-timeout" (printf "%ds" (int $b.drainSeconds))
	"log" (dict "level" $b.logLevel "format" $b.logFormat) -}}
{{- include "sqmqos.logCheck" . -}}
{{- if eq .Values.log.kind "postgres" -}}
{{- $_ := set $config "log" (merge $config.log (include "sqmqos.logConfig" . | fromYaml)) -}}
{{- end -}}
{{- /* The broker refuses it, too, but only after the one before it has ended. */}}
{{- $spaces := dict }}
{{- range $space, $of := $b.spaces }}
{{- range $tenant := $of.tenants }}
{{- with get $spaces $tenant }}{{ fail (printf "broker.spaces.%s.tenants: %s is in broker.spaces.%s already; a namespace is in one space" $space $tenant .) }}{{ end }}
{{- $_ := set $spaces $tenant $space }}
{{- end }}
{{- end -}}
{{- with $b.spaces }}{{ $_ := set $config "spaces" . }}{{ end -}}
{{- with .Values.httpApi }}
{{- if .enabled }}
{{- if eq (dig "http" "enabled" true (default (dict) $b.config)) false }}{{ fail "httpApi.enabled: broker.config.http.enabled is false" }}{{ end }}
{{- if has (int .port) (list (int $b.port) (int $b.adminPort)) }}{{ fail (printf "httpApi.port %d is broker.port or broker.adminPort" (int .port)) }}{{ end }}
{{- $_ := set $config "http" (dict "listen" (printf "*:%d" (int .port))) }}
{{- else if .ingress.enabled }}{{ fail "httpApi.ingress.enabled needs httpApi.enabled" }}
{{- end }}
{{- end -}}
{{- with $b.acl }}{{ $_ := set $config "acl" . }}{{ end -}}
{{- $push := dict -}}
{{- with include "sqmqos.pushAllow" . | fromYamlArray }}{{ $_ := set $push "allow" . }}{{ end -}}
{{- with .Values.push.secrets }}{{ $_ := set $push "secrets-dir" "/etc/sqmqos/secrets" }}{{ end -}}
{{- with $push }}{{ $_ := set $config "push" . }}{{ end -}}
{{- if ne $b.aclDefault "allow" }}{{ $_ := set $config "acl-default" $b.aclDefault }}{{ end -}}
{{- with .Values.tracing.endpoint }}{{ $_ := set $config "tracing" (dict "endpoint" .) }}{{ end -}}
{{- with .Values.auth.tokensSecret }}{{ $_ := set $config.auth "tokens-file" "/etc/sqmqos/tokens/tokens" }}{{ end -}}
{{- $clients := .Values.auth.clientCertificates -}}
{{- if or $clients.caSecret $clients.caConfigMap }}{{ $_ := set $config.auth "client-ca-file" "/etc/sqmqos/clients/ca.crt" }}{{ end -}}
{{- if or $clients.crlSecret $clients.crlConfigMap }}{{ $_ := set $config.auth "client-crl-file" "/etc/sqmqos/clients/ca.crl" }}{{ end -}}
{{- with $clients.names }}{{ $_ := set $config.auth "certificates" . }}{{ end -}}
{{- $issuers := list -}}
{{- range $i, $of := .Values.auth.issuers -}}
{{- $issuer := pick $of "issuer" "audience" "space" -}}
{{- if $of.keys }}{{ $_ := set $issuer "keys-file" (printf "/etc/sqmqos/config/issuer-%d.json" $i) }}{{ end -}}
{{- if $of.keysUrl }}{{ $_ := set $issuer "keys-url" $of.keysUrl }}{{ end -}}
{{- if $of.ca }}{{ $_ := set $issuer "ca-file" (printf "/etc/sqmqos/config/issuer-%d.pem" $i) }}{{ end -}}
{{- $issuers = append $issuers $issuer -}}
{{- end -}}
{{- with $issuers }}{{ $_ := set $config.auth "issuers" . }}{{ end -}}
{{- toYaml (merge $config (deepCopy (default (dict) $b.config))) -}}
{{- end -}}

{{/* Values of `log` that don't fit together. */}}
{{- define "sqmqos.logCheck" -}}
{{- $of := .Values.log -}}
{{- $brokers := include "sqmqos.brokers" . | int -}}
{{- if eq $of.kind "postgres" -}}
{{- if not $of.postgres.hosts }}{{ fail "log.postgres.hosts: log.kind postgres needs the database's servers, as {db-rw.data:5432}" }}{{ end -}}
{{- if ne .Values.broker.engine "embedded" }}{{ fail (printf "log.kind postgres: broker.engine %s keeps nothing" .Values.broker.engine) }}{{ end -}}
{{- if and (gt $brokers 1) .Values.broker.store.existingClaim }}{{ fail "broker.store.existingClaim: several brokers can't share one claim" }}{{ end -}}
{{- else -}}
{{- if gt $brokers 1 }}{{ fail (printf "brokers %d: more than one need log.kind postgres" $brokers) }}{{ end -}}
{{- if not .Values.broker.store.persistent }}{{ fail "broker.store.persistent: false needs log.kind postgres, else a pod that moves loses what it has acknowledged" }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* The broker's `log` with a shared one. */}}
{{- define "sqmqos.logConfig" -}}
{{- $of := .Values.log.postgres -}}
{{- $postgres := dict "hosts" $of.hosts "database" $of.database "user" $of.user "schema" $of.schema "create" $of.create -}}
{{- if $of.existingSecret }}{{ $_ := set $postgres "password-file" "/etc/sqmqos/log/password" }}{{ end -}}
{{- if $of.caSecret }}{{ $_ := set $postgres "ca-file" "/etc/sqmqos/log/ca.crt" }}{{ end -}}
{{- if $of.clientSecret -}}
{{- $_ := set $postgres "cert-file" "/etc/sqmqos/log/tls.crt" -}}
{{- $_ := set $postgres "key-file" "/etc/sqmqos/log/tls.key" -}}
{{- end -}}
{{- toYaml (dict "kind" "postgres" "copies" .Values.log.copies "import" .Values.log.import "postgres" $postgres) -}}
{{- end -}}

{{/* The files of the log's database, of a projected volume; or nothing. */}}
{{- define "sqmqos.logSources" -}}
{{- if eq .Values.log.kind "postgres" -}}
{{- $of := .Values.log.postgres -}}
{{- range list (list $of.existingSecret $of.passwordKey "password") (list $of.caSecret "ca.crt" "ca.crt")
	(list $of.clientSecret "tls.crt" "tls.crt") (list $of.clientSecret "tls.key" "tls.key") -}}
{{- if index . 0 }}
- secret:
    name: {{ index . 0 | quote }}
    items:
      - {key: {{ index . 1 | quote }}, path: {{ index . 2 }}}
{{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* push.allow: a namespace's own Services, which only it can make, and what the values say. */}}
{{- define "sqmqos.pushAllow" -}}
{{- $allow := list -}}
{{- if .Values.push.ownServices -}}
{{- $allow = list (dict "host" "*.{space}.svc") (dict "host" (printf "*.{space}.svc.%s" .Values.clusterDomain)) -}}
{{- end -}}
{{- toYaml (concat $allow .Values.push.allow) -}}
{{- end -}}

{{/* The secrets that queues name, NAMESPACE/NAME, of a projected volume; or nothing. */}}
{{- define "sqmqos.pushSources" -}}
{{- range $space, $names := .Values.push.secrets -}}
{{- range $name, $of := $names }}
- secret:
    name: {{ $of.secret | quote }}
    optional: true
    items:
      - {key: {{ $of.key | quote }}, path: {{ printf "%s/%s" $space $name | quote }}}
{{- end }}
{{- end -}}
{{- end -}}

{{/* The broker's files of configuration. */}}
{{- define "sqmqos.brokerFiles" -}}
broker.yaml: |
  {{- include "sqmqos.brokerConfig" . | nindent 2 }}
{{- range $i, $of := .Values.auth.issuers }}
{{- with $of.keys }}
issuer-{{ $i }}.json: {{ . | quote }}
{{- end }}
{{- with $of.ca }}
issuer-{{ $i }}.pem: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where the files of client certificates come from, of a projected volume; or nothing. */}}
{{- define "sqmqos.clientSources" -}}
{{- $of := .Values.auth.clientCertificates -}}
{{- range list (list "secret" $of.caSecret "ca.crt") (list "configMap" $of.caConfigMap "ca.crt")
	(list "secret" $of.crlSecret "ca.crl") (list "configMap" $of.crlConfigMap "ca.crl") -}}
{{- if index . 1 }}
- {{ index . 0 }}:
    name: {{ index . 1 | quote }}
    items:
      - {key: {{ index . 2 }}, path: {{ index . 2 }}}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Secret with the broker's certificate. */}}
{{- define "sqmqos.brokerSecret" -}}
{{- default (printf "%s-tls" (include "sqmqos.broker" .)) .Values.certificates.brokerSecret -}}
{{- end -}}

{{/* What of these a broker takes up by a start alone: without the rules of acl and where
     pushes may go. */}}
{{- define "sqmqos.brokerStillFiles" -}}
{{- $values := deepCopy .Values -}}
{{- $_ := set $values.broker "acl" (list) -}}
{{- $_ := set $values.broker "aclDefault" "allow" -}}
{{- $_ := set $values.push "ownServices" false -}}
{{- $_ := set $values.push "allow" (list) -}}
{{- include "sqmqos.brokerFiles" (dict "Values" $values) -}}
{{- end -}}
