{{/* What the injector, and `sqmqos inject --values`, make a pod's sidecar of. */}}
{{- define "sqmqos.settings" -}}
{{- $s := .Values.sidecar -}}
{{- $secrets := list -}}
{{- range .Values.imagePullSecrets }}{{ $secrets = append $secrets .name }}{{ end -}}
{{- $resources := dict -}}
{{- range $kind := list "requests" "limits" }}
{{- /* What is not set is null: left out it would be the default. */}}
{{- $given := default (dict) (get (default (dict) $s.resources) $kind) }}
{{- $quantities := dict }}
{{- range $name := list "cpu" "memory" "ephemeral-storage" }}
{{- $quantity := index $given $name }}
{{- $_ := set $quantities $name (kindIs "invalid" $quantity | ternary nil ($quantity | toJson | trimAll "\"")) }}
{{- end }}
{{- $_ := set $resources $kind $quantities }}
{{- end -}}
{{- toYaml (dict
	"version" .Chart.AppVersion
	"namespace" .Release.Namespace
	"fullname" (include "sqmqos.fullname" .)
	"clusterDomain" .Values.clusterDomain
	"imagePullSecrets" $secrets
	"sidecar" (dict
		"image" (merge (dict "registry" (include "sqmqos.registry" (list . $s.image))) $s.image)
		"resources" $resources
		"adminPort" $s.adminPort
		"logLevel" $s.logLevel
		"logFormat" $s.logFormat
		"security" $s.security
		"runAsUser" $s.runAsUser)
	"broker" (dict "port" .Values.broker.port "adminPort" .Values.broker.adminPort)
	"tracing" (dict "endpoint" .Values.tracing.endpoint "sample" .Values.tracing.sample
		"traceparent" .Values.tracing.traceparent)
	"auth" (dict "audience" .Values.auth.audience "tokenExpirySeconds" .Values.auth.tokenExpirySeconds)) -}}
{{- end -}}

{{/* injector.yaml */}}
{{- define "sqmqos.injectorConfig" -}}
{{- $i := .Values.injector -}}
{{- if and $i.hostNetwork (eq (int $i.webhookPort) 10250) -}}
{{- fail "injector.webhookPort 10250 is kubelet's on the node's network: with injector.hostNetwork give another one, such as 10260" -}}
{{- end -}}
{{- $c := .Values.certificates -}}
{{- $certificates := dict "mode" $c.mode -}}
{{- if eq $c.mode "managed" -}}
{{- $_ := merge $certificates (dict "ca-lifetime" $c.caLifetime "leaf-lifetime" $c.leafLifetime "overlap" $c.overlap) -}}
{{- if .Values.httpApi.enabled -}}
{{- $api := include "sqmqos.api" . -}}
{{- $space := printf "%s.%s" $api .Release.Namespace -}}
{{- $names := list (printf "%s.svc.%s" $space .Values.clusterDomain) (printf "%s.svc" $space) $space $api -}}
{{- $_ := set $certificates "broker-names" (concat $names .Values.httpApi.names) -}}
{{- end -}}
{{- else -}}
{{- $_ := set $certificates "serving-secret" $c.servingSecret -}}
{{- with $c.caSecret }}{{ $_ := set $certificates "ca-secret" . }}{{ end -}}
{{- with $c.caConfigMap }}{{ $_ := set $certificates "ca-config-map" . }}{{ end -}}
{{- end -}}
{{- toYaml (dict
	"listen" (dict "address" (printf "*:%d" (int $i.webhookPort)))
	"admin" (dict "listen" (printf "*:%d" (int $i.adminPort)))
	"settings" (dict "file" "/etc/sqmqos/config/settings.yaml")
	"certificates" $certificates
	"webhooks" (dict "ca-bundle" $c.caBundle)
	"log" (dict "level" $i.logLevel "format" $i.logFormat)) -}}
{{- end -}}

{{/* One entry of a webhook configuration; only a mutating one stops what it can't ask about. [root, entry] */}}
{{- define "sqmqos.webhookEntry" -}}
{{- $root := index . 0 -}}
{{- $of := index . 1 -}}
{{- $mutates := eq $of.path "/mutate" -}}
- name: {{ $of.name }}
  admissionReviewVersions: [v1]
  clientConfig:
    service:
      name: {{ include "sqmqos.injector" $root }}
      namespace: {{ $root.Release.Namespace | quote }}
      path: {{ $of.path }}
      port: 443
  sideEffects: None
  failurePolicy: {{ $mutates | ternary "Fail" "Ignore" }}
  matchPolicy: Equivalent
  timeoutSeconds: {{ int $root.Values.injector.webhook.timeoutSeconds }}
  {{- if $mutates }}
  reinvocationPolicy: IfNeeded
  {{- end }}
  rules:
    {{- toYaml $of.rules | nindent 4 }}
  objectSelector:
    {{- toYaml $of.objectSelector | nindent 4 }}
  namespaceSelector:
    {{- with $of.matchLabels }}
    matchLabels:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    matchExpressions:
      {{- toYaml $of.namespaces | nindent 6 }}
{{- end -}}
